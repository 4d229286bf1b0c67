"""The collapse lab of self-distillation: what teacher and student say of a picture, centred and sharpened or not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Literal, Protocol

import torch
from torch import Generator, Tensor

from engine.bench import Bench
from engine.data.base import Batch, Facts
from engine.data.subset import spread
from engine.lenses.prototypes import by_place
from engine.losses.self_distillation import opinion, spreads
from engine.losses.soft import soft_cross_entropy
from engine.method import Bars, Curves, Lens, Matrix, Params, Pictures, Report, Table, knob

TEMPERATURES = torch.logspace(-2.5, 1, 36)
"""Of the teacher, for the curves."""
LARGEST = 40
"""Classes whose share is drawn."""


class Distilled(Protocol):
    """A student and its teacher, with scores for classes that nobody named."""

    facts: Facts
    params: Any
    centre: Tensor

    def scores(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) in [0, 1] -> scores (B, K) by student and teacher, not centred."""

    def view(self, images: Tensor, generator: Generator) -> Tensor:
        """A random large crop of each picture, as in training."""


class OpinionsParams(Params):
    centre: Literal["running", "of these", "none"] = knob(
        "running", "what is taken off the teacher's scores: the mean over the last steps of training, that of the test "
        "pictures, or nothing"
    )  # fmt: skip
    teacher_temperature: float = knob(0.04, "the lower, the sharper the teacher", 0.005, 10.0, log=True)
    student_temperature: float = knob(0.1, "the student's temperature", 0.005, 10.0, log=True)
    shown: int = knob(10, "classes in the tables, the teacher's most frequent first", 2, 40, tiny=4)
    asked: int = knob(200, "test pictures for the two entropies", 10, 5000, tiny=20, fold=True)
    seed: int = knob(0, "other crops", 0, 9999, fold=True)


@torch.no_grad()
def opinions(model: Distilled, params: OpinionsParams, images: Tensor, bench: Bench) -> Report:
    """One crop of each picture by the teacher and another by the student; and the two entropies over test pictures.

    ValueError when the model has no such classes.
    """
    test = spread(bench.data(model.params.data, "test", model.facts.size), params.asked)
    scores = bench.recall(lambda: by_teacher(model, bench.chunks(test)), "scores", params.asked)
    one, two, by_one, by_two = bench.recall(lambda: crops(model, images, params.seed), "crops", images, params.seed)
    centre = {"running": model.centre, "of these": scores.mean(dim=0), "none": torch.zeros_like(model.centre)}[
        params.centre
    ]
    everyone = opinion(scores, centre, params.teacher_temperature)
    student = by_two / params.student_temperature
    teacher = opinion(by_one, centre, params.teacher_temperature)
    order = teacher.sum(dim=0).argsort(descending=True, stable=True)
    chosen, even = order[: params.shown], math.log(len(order))
    of_one, of_all = spreads(everyone)
    return {
        "teacher sees": one, "student sees": two,
        "teacher": teacher[:, chosen], "student": student.softmax(dim=1)[:, chosen],
        "rows": [f"picture {row + 1}" for row in range(len(images))],
        "columns": [str(column + 1) for column in chosen.tolist()],
        "nats": torch.stack([of_one, of_all, of_one.new_tensor(even)]),
        "entropy": ["of a picture", "of all", "log K"],
        **by_temperature(scores, centre), "now": math.log10(params.teacher_temperature),
        "share of a class": by_place(everyone.mean(dim=0).sort(descending=True).values[:LARGEST]),
        "even share": by_place(torch.full((min(LARGEST, len(order)),), 1 / len(order))),
        "number": torch.arange(1, len(images) + 1),
        "teacher's class": teacher.argmax(dim=1) + 1, "student's class": student.argmax(dim=1) + 1,
        "teacher's entropy": torch.special.entr(teacher).sum(dim=1),
        "from even": even - torch.special.entr(teacher).sum(dim=1),
        "loss": soft_cross_entropy(student, teacher),
    }  # fmt: skip


def by_teacher(model: Distilled, batches: Iterable[Batch]) -> Tensor:
    """The teacher's scores (N, K) of all pictures."""
    return torch.cat([model.scores(batch.images)[1] for batch in batches])


def crops(model: Distilled, images: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two crops of each picture, the teacher's scores (B, K) of the first and the student's of the second."""
    generator = torch.Generator(images.device).manual_seed(seed)
    one, two = model.view(images, generator), model.view(images, generator)
    return one, two, model.scores(one)[1], model.scores(two)[0]


def by_temperature(scores: Tensor, centre: Tensor) -> Report:
    """The two entropies of scores (B, K) over the logarithm of the temperature, each (N, 2)."""
    found = torch.tensor([[float(each) for each in spreads(opinion(scores, centre, float(t)))] for t in TEMPERATURES])
    return {
        name: torch.stack([TEMPERATURES.log10(), found[:, place]], dim=1)
        for place, name in enumerate(("of a picture", "of all"))
    }


OPINIONS = Lens(
    "Collapse", OpinionsParams, opinions,
    (
        Pictures(("teacher sees", "student sees"), "Two random crops of each picture."),
        Matrix(("teacher", "student"), "What each says of its crop: pictures in rows, classes in columns. Rows alike: "
               "one class for all. Rows even: no opinion."),
        Bars(("nats", "entropy"), "Over test pictures: how undecided the teacher is about one, and how evenly all of "
             "them use the classes. Healthy is low and high; both at 0 or both at log K is collapse."),
        Curves(("of a picture", "of all"), "The same two at other temperatures of the teacher. A low one drives both "
               "down, a high one drives both to log K: in between they part.", over="log10 of its temperature",
               mark="now"),
        Curves(("share of a class", "even share"), "How much of the test pictures each class gets, the largest first.",
               over="class, by size"),
        Table(("number", "teacher's class", "student's class", "teacher's entropy", "from even", "loss"), "Each "
              "picture: the likeliest classes, the teacher's entropy and its distance from even (nats), and the loss."),
    ),
    "Take centring or sharpening away from the teacher and watch its opinions collapse.",
    ends=lambda model, images: {"shown": model.centre.shape[-1]},
)  # fmt: skip
