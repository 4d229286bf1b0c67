"""What a teacher and its students make of the same pictures, and which of a teacher's labels a threshold keeps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from engine.augment import RandAugment
from engine.augment.magnitudes import LARGEST
from engine.bench import Bench
from engine.data.base import Facts
from engine.data.subset import labels_of
from engine.lenses.picked import last_picture, picked
from engine.method import Bars, Curves, Lens, Params, Pictures, Report, Table, knob
from engine.metrics.answers import answers
from engine.metrics.pseudo_labels import purity

ROUNDS = 3
"""Students at most."""


class Pupils(Protocol):
    """A teacher and its students, all from images (B, C, H, W) in [0, 1] to logits (B, classes)."""

    params: Any
    facts: Facts

    def network(self, round: int) -> nn.Module:
        """The teacher for 0, else the student of that round, or the last one."""


def named(labels: Tensor, classes: Sequence[str]) -> list[str]:
    return [classes[label] for label in labels.tolist()]


def opinions(teacher: Tensor, student: Tensor, classes: Sequence[str]) -> Report:
    """First choices and confidences of probabilities (N, classes), as columns of a table."""
    report: Report = {"picture": torch.arange(1, len(teacher) + 1)}
    for name, told in (("teacher", teacher), ("student", student)):
        report |= {f"{name}_says": named(told.argmax(dim=1), classes), f"{name}_is_sure": told.amax(dim=1)}
    return report


OPINIONS = ("picture", "teacher_says", "teacher_is_sure", "student_says", "student_is_sure")


class PredictionsParams(Params):
    m: int = knob(0, "distort the pictures before: two operations of this magnitude; 0: none", 0, LARGEST)
    student: int = knob(ROUNDS, "which student answers, by its round; beyond the last: the last", 1, ROUNDS)
    picture: int = knob(1, "picture whose probabilities are drawn", 1, 64)


@torch.no_grad()
def predictions(model: Pupils, params: PredictionsParams, images: Tensor, bench: Bench) -> Report:
    """What teacher and student make of each picture, and all their probabilities for one of them."""
    one = picked(params.picture, images)
    seen = RandAugment(2, params.m)(images, bench.generator) if params.m else images
    teacher, student = (model.network(round)(seen).softmax(dim=1) for round in (0, params.student))
    classes = list(model.facts.classes)
    every = {"teacher": teacher[one], "student": student[one], "class": classes}
    return {"seen": seen} | opinions(teacher, student, classes) | every


class DifferParams(Params):
    show: Literal["all", "student right", "teacher right", "both wrong"] = knob("all", "who is right on those shown")
    student: int = knob(ROUNDS, "which student is asked, by its round; beyond the last: the last", 1, ROUNDS)
    data: str = knob("", "labelled test pictures; empty: those of what the networks learned from", fold=True)


def where_they_differ(model: Pupils, params: DifferParams, images: None, bench: Bench) -> Report:
    """Test pictures on which the probabilities of teacher and student are furthest apart."""
    test = bench.data(params.data or model.params.data, "test", model.facts.size)
    truth, classes = labels_of(test).to(bench.device), list(model.facts.classes)
    teacher, student = (
        answers(model.network(round), bench.chunks(test)).softmax(dim=1) for round in (0, params.student)
    )
    first, second = teacher.argmax(dim=1) == truth, student.argmax(dim=1) == truth
    who = {"student right": second & ~first, "teacher right": first & ~second, "both wrong": ~first & ~second}
    among = who.get(params.show, torch.ones_like(first))
    if not among.any():
        raise ValueError(f"show: {params.show!r} fits no test picture; choose all")
    apart = (teacher - student).abs().sum(dim=1) / 2
    rows = torch.where(among, apart, -1.0).topk(min(16, int(among.sum()))).indices
    return {
        "pictures": torch.stack([(first & second).sum(), *(group.sum() for group in who.values())]),
        "who": ["both right", *who], "shown": test.batch(rows.cpu()).to(bench.device).images,
        "truth": named(truth[rows], classes), "apart": apart[rows], **opinions(teacher[rows], student[rows], classes),
    }  # fmt: skip


class ThresholdParams(Params):
    threshold: float = knob(0.5, "confidence that a pseudo-label must exceed", 0.0, 0.99)
    teacher: int = knob(0, "who labels: 0 the teacher, else a student by its round", 0, ROUNDS)
    data: str = knob("", "labelled test pictures; empty: those of what the networks learned from", fold=True)


def threshold(model: Pupils, params: ThresholdParams, images: None, bench: Bench) -> Report:
    """What a threshold keeps: how many pseudo-labels, how many of them right, and which classes."""
    test, classes = bench.data(params.data or model.params.data, "test", model.facts.size), list(model.facts.classes)
    told = answers(model.network(params.teacher), bench.chunks(test)).softmax(dim=1)
    (confidence, label), grid = told.max(dim=1), torch.linspace(0, 0.99, 34, device=bench.device)
    right, kept = label == labels_of(test).to(bench.device), confidence > params.threshold
    grid = grid[grid < confidence.max()]
    shares = (torch.stack([grid, share], dim=1) for share in purity(confidence, right, grid))
    count = partial(torch.bincount, minlength=len(classes))
    return dict(zip(("kept", "right"), shares, strict=True)) | {
        "rightly": count(label[kept & right]), "wrongly": count(label[kept & ~right]), "class": classes,
    }  # fmt: skip


CARD = (
    Curves(("pseudo/right", "pseudo/kept"),
           "Share of pseudo-labels that is right, and of pictures that have one: both rise from round to round."),
    Bars(("confidence", "share_right", "range"),
         "How sure the newest teacher is, and how often right, by confidence. Where they differ, it misleads."),
    Pictures(("surely_right",), "The surest pseudo-labels that are right."),
    Pictures(("surely_wrong",), "The surest that are wrong: the student learns these as truth."),
    Table(("called", "truly"), "What the wrong ones above are called, and what they are."),
)  # fmt: skip
"""The exhibits of `engine.metrics.pseudo_labels.report_card`."""
LENSES = (
    Lens("Predictions", PredictionsParams, predictions, (
        Pictures(("seen",), "The pictures as both see them."),
        Table(OPINIONS, "First choices. Trained under noise, the student holds out longer as M grows."),
        Bars(("teacher", "student", "class"), "All probabilities of the chosen picture."),
    ), "Ask teacher and student about your pictures, and make it harder for both.",
        ends=lambda model, images: {"student": model.params.rounds} | last_picture(model, images)),
    Lens("Where they differ", DifferParams, where_they_differ, (
        Bars(("pictures", "who"), "Test pictures by who is right: what the student gained, and what it lost."),
        Pictures(("shown",), "Those on which their probabilities are furthest apart."),
        Table((*OPINIONS, "truth", "apart"), "What each says of them. Apart: total variation, 0 to 1."),
    ), "Test pictures on which the student learned to disagree with its teacher.", takes="nothing",
        ends=lambda model, images: {"student": model.params.rounds}),
    Lens("Threshold", ThresholdParams, threshold, (
        Curves(("kept", "right"), "Share of pictures that get a label, and of these labels that is right, at each "
               "threshold: purer means fewer.", over="threshold"),
        Bars(("rightly", "wrongly", "class"), "Pseudo-labels above the chosen threshold, by class: a high one "
             "keeps the easy classes and starves the hard."),
    ), "How a threshold trades the number of pseudo-labels against their truth.", takes="nothing",
        ends=lambda model, images: {"teacher": model.params.rounds}),
)  # fmt: skip
