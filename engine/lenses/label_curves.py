"""How many labels pre-training is worth: accuracy over labels, from scratch and tuned, from a sweep that ships."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.assets import asset
from engine.bench import Bench
from engine.lenses.starts import command
from engine.method import Curves, Lens, Params, Report, Table, knob

ID = "semi.fine_tuning"
SWEEP = f"methods/{ID}/sweep-labels.json"
"""The finished sweep "Labels and start": `visionarium sweep keep SWEEP FILE --also probe pixels`."""
EVERY = 10_000
"""Labelled pictures of garments: what 0 means."""
WAYS = ("from SimCLR, tuned", "from SimCLR, linear probe", "from scratch", "neighbours by pixels")


class LabelsParams(Params):
    labels: int = knob(200, "labels that you have; what lies between those tried is interpolated", 20, EVERY, log=True)


def curves(kept: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """Labels (N,) and, for each of `WAYS`, the mean share right at each (N,)."""
    labels = torch.tensor([count or EVERY for count in kept["grid"]["labels"]])
    names = {"tuned": kept["figures"], **kept["also"]}
    told = {name: torch.tensor(rows).mean(dim=1).view(len(labels), -1) for name, rows in names.items()}
    random, simclr = range(2)  # the order of starts
    columns = (told["tuned"][:, simclr], told["probe"][:, simclr], told["tuned"][:, random], told["pixels"][:, random])
    return labels, dict(zip(WAYS, columns, strict=True))


def at(x: float, xs: list[float], ys: list[float]) -> float | None:
    """y at x on the line through the points, the first stretch of it that reaches x; None where none does."""
    for left, right, low, high in zip(xs, xs[1:], ys, ys[1:], strict=False):
        if min(left, right) <= x <= max(left, right):
            return low + (high - low) * (x - left) / (right - left) if right != left else low
    return None


def worth(labels: Tensor, tuned: Tensor, scratch: Tensor, count: int) -> tuple[float, float, float | None]:
    """Share right with `count` labels, tuned and from scratch, and the labels that it takes from scratch to be right as
    often as tuned (None: more than there are). Straight lines between what was measured, over the logarithm."""
    powers = [math.log10(each) for each in labels.tolist()]
    ours, theirs = (float(np.interp(math.log10(count), powers, line.tolist())) for line in (tuned, scratch))
    power = at(ours, scratch.tolist(), powers)
    return ours, theirs, None if power is None else 10**power


def look_labels(model: Any, p: LabelsParams, images: None, bench: Bench) -> Report:
    """The sweep that ships, as curves and in words; the model is not asked."""
    kept = json.loads(asset(SWEEP).read_text("utf-8"))
    labels, right = curves(kept)
    ours, theirs, many = worth(labels, right[WAYS[0]], right[WAYS[2]], p.labels)
    seeds, gains = len(kept["figures"][0]), 100 * (right[WAYS[0]] - right[WAYS[2]])
    if ours <= theirs:
        says = "To have learned without labels first gains nothing here."
    elif many is None:
        says = f"From scratch, all {EVERY:,} labels do not come as far."
    else:
        says = f"To come as far from scratch takes about {float(f'{many:.2g}'):,.0f} labels."
    return {
        **{name: torch.stack([labels.log10(), line], dim=1) for name, line in right.items()},
        "now": math.log10(p.labels), "labels": labels, **{f"{name}: right": line for name, line in right.items()},
        "in_words": [
            f"With {p.labels:,} labels: {ours:.3f} tuned from SimCLR, {theirs:.3f} from scratch.",
            says,
            f"Tuning gains {gains[0]:+.1f} points over scratch with {labels[0]:,} labels, {gains[-1]:+.1f} with all.",
            f"Measured {kept['date']}: the mean of {seeds} run{'s' * (seeds > 1)} a point, each with other labels.",
        ],
        "command": command(kept, type(model.params).make({}).model_dump(mode="json"), ID),
    }  # fmt: skip


LABELS = Lens(
    "Labels", LabelsParams, look_labels,
    (
        Curves(WAYS, "Share right of test pictures by the number of labels, as a power of ten: 2 are a hundred. All "
               "were trained for as many steps.", over="labels, power of ten", mark="now"),
        Table(("in_words",), "What they say of your number of labels."),
        Table(("labels", *(f"{name}: right" for name in WAYS)), "The same in numbers."),
        Table(("command",), "The command that measures it again."),
    ),
    "How many labels is it worth to have learned without any first, and when does it stop paying?", takes="nothing",
)  # fmt: skip
