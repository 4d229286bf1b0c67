"""Pre-training or self-training: what each brings, by labels and distortion, from a sweep that ships."""

from __future__ import annotations

import json
from textwrap import wrap
from typing import Any, Literal

import torch
from torch import Tensor

from engine.assets import asset
from engine.augment.magnitudes import LARGEST
from engine.bench import Bench
from engine.method import Curves, Lens, Matrix, Params, Report, Sweep, Table, knob

ID = "semi.self_training"
SWEEP = f"methods/{ID}/sweep-start.json"
"""The finished sweep `READY`: `visionarium sweep keep SWEEP FILE --also teacher_accuracy`."""
WAYS = ("random", "supervised", "self-supervised")
COLUMNS = tuple(f"{who}, {way}" for way in WAYS for who in ("teacher", "student"))
READY = Sweep(
    "Pre-training or self-training", {"m": (0, 5, 15), "labelled": (5, 20, 100, 400), "start": WAYS},
    "With stronger distortion and more labels, does pre-training stop helping while self-training still does?",
    {"rounds": 1, "ratio": 1, "batch": 64, "steps": 280, "teacher_steps": 280},
)  # fmt: skip
"""What was run; of its knobs the last changes fastest."""
LINE = 52
"""Letters that a table's column shows."""


class StartsParams(Params):
    pretraining: Literal["supervised", "self-supervised"] = knob(
        "self-supervised", "the start that is weighed: another set's labels, or the own pictures without labels"
    )
    began: Literal["random", "supervised", "self-supervised"] = knob(
        "random", "how the teacher and the student began whose gain is shown"
    )
    m: int = knob(15, "distortion for which gains are drawn over labels: the nearest that was tried", 0, LARGEST)


def gains(
    teacher: Tensor, student: Tensor, starts: list[str], pretraining: str, began: str
) -> tuple[Tensor, Tensor, Tensor]:
    """What a student adds to its teacher (both began as `began`), what `pretraining` adds to a teacher from random, and
    to a student: each (M, L) in points, from shares right (M, L, starts)."""
    at, random, ready = (starts.index(each) for each in (began, "random", pretraining))
    by_self = student[..., at] - teacher[..., at]
    by_start, both = (each[..., ready] - each[..., random] for each in (teacher, student))
    return 100 * by_self, 100 * by_start, 100 * both


def look_starts(model: Any, p: StartsParams, images: None, bench: Bench) -> Report:
    """The sweep that ships, as two maps of gains; the model is not asked."""
    kept = json.loads(asset(SWEEP).read_text("utf-8"))
    ms, labels, starts = (list(kept["grid"][name]) for name in READY.grid)
    shape = (len(ms), len(labels), len(starts), -1)
    student, teacher = (torch.tensor(each).view(shape) for each in (kept["figures"], kept["also"]["teacher_accuracy"]))
    by_self, by_start, both = gains(teacher.mean(dim=3), student.mean(dim=3), starts, p.pretraining, p.began)
    drawn = min(range(len(ms)), key=lambda i: abs(ms[i] - p.m))
    names = [f"M {m}" for m in ms]
    lines = {"self-training": by_self, "pre-training": by_start, "neither": 0 * by_self}
    over = {name: torch.stack([torch.tensor(labels).float(), table[drawn]], dim=1) for name, table in lines.items()}
    right = (table[:, :, starts.index(way)].mean(dim=2).flatten() for way in WAYS for table in (teacher, student))
    return {
        "student less teacher": by_self.T, "pre-trained less random teacher": by_start.T,
        "pre-trained less random student": both.T, "rows": [f"{count} a class" for count in labels], "columns": names,
        **over, "M": torch.tensor([m for m in ms for _ in labels]),
        "labels a class": torch.tensor(labels * len(ms)), **dict(zip(COLUMNS, right, strict=True)),
        "in_words": said(kept, by_self, by_start, names, labels, student.shape[3]),
        "command": command(kept, type(model.params).make({}).model_dump(mode="json")),
    }  # fmt: skip


def said(
    kept: dict[str, Any], by_self: Tensor, by_start: Tensor, names: list[str], labels: list[int], seeds: int
) -> list[str]:
    """What the maps show, no more than they do."""
    cells, (most, least) = by_self.numel(), ((-1, -1), (0, 0))
    corners = [f"{labels[j]} labels a class and {names[i]}: self-training {by_self[i, j]:+.1f}, pre-training "
               f"{by_start[i, j]:+.1f} points" for i, j in (least, most)]  # fmt: skip
    chance = "a point or two may be chance"
    if seeds > 1:
        chance = f"over seeds a student varies by {100 * torch.tensor(kept['figures']).std(dim=1).mean():.1f} points"
    return [
        f"Self-training gains in {int((by_self > 0).sum())} of {cells} cells, pre-training in "
        f"{int((by_start > 0).sum())}.",
        *(f"With {corner}." for corner in corners),
        f"Measured {kept['date']}: {seeds} run{'s' * (seeds > 1)} a cell, {chance}.",
    ]  # fmt: skip


def command(kept: dict[str, Any], usual: dict[str, Any], id: str = ID) -> list[str]:
    """The command that makes the sweep of a method again, in lines that a shell joins."""
    grid = " ".join(f"{name}={','.join(map(str, values))}" for name, values in kept["grid"].items())
    fixed = [f"--{name.replace('_', '-')} {value}" for name, value in kept["values"].items()
             if name not in kept["grid"] and usual[name] != value]  # fmt: skip
    whole = " ".join([f"visionarium sweep {id} --grid {grid}", *fixed, f"--seeds {len(kept['figures'][0])}"])
    *lines, last = wrap(whole, LINE, break_on_hyphens=False)
    return [*(f"{line} \\" for line in lines), last]


STARTS = Lens(
    "Pre-training?", StartsParams, look_starts,
    (
        Matrix(("student less teacher", "pre-trained less random teacher", "pre-trained less random student"),
               "Gains in points of test accuracy, by labels and by RandAugment's magnitude M (0: no distortion): of a "
               "student over its teacher, and of networks that begin pre-trained over those that begin at random."),
        Table(("in_words",), "What they say."),
        Curves(("self-training", "pre-training", "neither"), "Both gains over the labels, at the chosen distortion: "
               "below the line it harms.", over="labels a class"),
        Table(("M", "labels a class", *COLUMNS), "Share right on all test pictures, by how both began."),
        Table(("command",), "The command that measures it again."),
    ),
    "Does pre-training still help where labels are many and distortion is strong? Does self-training?", takes="nothing",
)  # fmt: skip
