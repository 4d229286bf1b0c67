"""What a network that chooses its own labels has asked for, round by round."""

from __future__ import annotations

from typing import Any

import torch

from engine.bench import Bench
from engine.data.subset import labels_of
from engine.method import Curves, Lens, Matrix, Params, Pictures, Report, Table, knob

MOST = 32
"""Pictures of a round that are shown."""


class CourseParams(Params):
    round: int = knob(1, "whose labels are shown; 0: those of the start; beyond the last: the last", 0, 1000)


def look_course(model: Any, p: CourseParams, images: None, bench: Bench) -> Report:
    """What came of the labels, and for which pictures it asked in each round."""
    own, classes = model.params, list(model.facts.classes)
    data = bench.data(own.data)
    labels, round = labels_of(data), min(p.round, own.rounds)
    if round and int(model.asked[round - 1, 0]) < 0:
        raise ValueError(f"round: the network has not come to round {round} yet; choose an earlier one")
    groups = [model.first.cpu(), *(row.cpu() for row in model.asked if int(row[0]) >= 0)]
    counted = torch.stack([torch.bincount(labels[rows], minlength=len(classes)) for rows in groups])
    total = torch.tensor([len(rows) for rows in groups]).cumsum(dim=0)
    shown = groups[round][:MOST]
    return {
        "accuracy": torch.stack([total.float(), model.curve[: len(total)].cpu()], dim=1),
        "labels asked for": counted, "rows": ["start", *(f"round {i}" for i in range(1, len(groups)))],
        "columns": classes, "shown": data.batch(shown).to(bench.device).images,
        "number": torch.arange(1, len(shown) + 1), "class": [classes[i] for i in labels[shown].tolist()],
    }  # fmt: skip


COURSE = Lens(
    "Course",
    CourseParams,
    look_course,
    (
        Curves(("accuracy",), "Share right on test pictures, against the labels that were paid for.", over="labels"),
        Matrix(("labels asked for",), "How many of each class came in each round."),
        Pictures(("shown",), "What was asked for in the chosen round, the most wanted first."),
        Table(("number", "class"), "What they are."),
    ),
    "Round by round: what it asked for, and what that brought.",
    takes="nothing",
    ends=lambda model, images: {"round": model.params.rounds},
)
