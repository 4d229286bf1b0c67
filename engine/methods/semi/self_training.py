r"""Self-training.

Xie, Luong, Hovy, Le. CVPR 2020 (Noisy Student). arXiv:1911.04252

Idea. A teacher that learned from a few labels labels many pictures itself, and a student learns from both. The student
has to work harder: its pictures are distorted and its features dropped, the teacher's are not when it labels them. Then
the student becomes the next teacher.

Equation. $$\mathcal{L}=\frac1B\Big(\sum_{x\in D_L}\mathrm{CE}\big(y,\,p(\tilde x)\big)+\sum_{x\in D_U}
\mathrm{CE}\big(\hat p_T(x),\,p(\tilde x)\big)\Big)$$

Where. $D_L$: a batch of B labelled pictures
$y$: their true labels
$D_U$: a batch of pictures without labels, `ratio` times as many
$\hat p_T(x)$: what the undisturbed teacher makes of a picture, its probabilities or its first choice
$p(\tilde x)$: the student's probabilities for the picture distorted by RandAugment, under dropout

Differs. Labelled pictures are drawn with replacement, and both kinds share their batch statistics. The labels of all
other training pictures are hidden; they only serve to report how many pseudo-labels were right. The demo's networks are
small residual ones of one size; with `student_width` students outgrow their teacher, as the paper's do (EfficientNet-B7
to L2). Zoph et al. (NeurIPS 2020, arXiv:2006.06882) use the same loop with hard labels above a threshold.

Expect. The demo takes 70 CPU-seconds of a core. Over three seeds the last student is right on 0.769, 0.746 and
0.777 of the test pictures, its teacher on 0.713, 0.721 and 0.717. Networks that see the labelled pictures alone, with
as many steps, end at 0.745, 0.731 and 0.742. With two students of 300 steps the gain over them was not sure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from engine.augment import RandAugment
from engine.augment.magnitudes import LARGEST
from engine.bench import Bench
from engine.data.base import Batch, Dataset, Facts
from engine.data.subset import balanced, labels_in, labels_of, part, spread
from engine.losses.soft import soft_cross_entropy
from engine.method import Bars, Claim, Curves, Lens, Method, Params, Pictures, Report, Table, knob, stage
from engine.metrics.answers import accuracy_of, answers
from engine.metrics.pseudo_labels import purity, report_card
from engine.nets.classifier import Classifier, backbone
from engine.ops.choose import host_generator
from engine.ops.pseudo_labels import select
from engine.ops.schedule import cosine

STAGES = ("teacher", "student 1", "student 2", "student 3")
ROUNDS, COURSE = len(STAGES) - 1, 500
"""Students at most; test pictures that are asked in the course of training."""


class SelfTrainingParams(Params):
    data: str = knob("garments", "labelled pictures: a set by name, or folder:PATH with a folder a class")
    labelled: int = knob(10, "pictures of each class that keep their label", 1, 10_000, tiny=2, paper=1280)
    rounds: int = knob(3, "students, each taught by the one before", 1, ROUNDS)
    ratio: int = knob(3, "pictures without label for each labelled one; 0: labels alone", 0, 28, tiny=2)
    targets: Literal["soft", "hard"] = knob("soft", "the teacher's probabilities, or its first choice")
    threshold: float = knob(0.7, "confidence that a pseudo-label must exceed", 0.0, 0.99, tiny=0.0)
    m: int = knob(9, "magnitude of RandAugment, the noise on pictures", 0, LARGEST, paper=27)
    steps: int = knob(500, "optimiser steps of each student", 1, 10**7, tiny=3, paper=219_000, unit="steps")
    teacher_steps: int = knob(300, "those of the teacher", 1, 10**7, tiny=3, paper=219_000, unit="steps", fold=True)
    unlabelled: str = knob("", "where pictures without labels come from; empty: the rest of data", fold=True)
    balance: bool = knob(True, "equally many pseudo-labels of each class, the surest first", fold=True)
    n: int = knob(2, "operations of RandAugment; 0: no distortion", 0, 8, fold=True)
    dropout: float = knob(0.2, "share of features dropped, the noise in the network", 0.0, 0.9, paper=0.5, fold=True)
    drop_path: float = knob(0.0, "chance that the deepest block is skipped", 0.0, 0.9, paper=0.2, fold=True)
    batch: int = knob(32, "labelled pictures a step", 2, 65_536, tiny=4, paper=2048, fold=True)
    lr: float = knob(3e-3, "learning rate at its peak", 1e-6, 10.0, log=True, fold=True)
    weight_decay: float = knob(0.01, "pull of all weights towards 0", 0.0, 1.0, fold=True)
    backbone: str = knob("small", "the networks: small, or any of timm's", paper="tf_efficientnet_b7", fold=True)
    width: int = knob(16, "channels of a small teacher", 1, 512, tiny=2, fold=True)
    student_width: int = knob(16, "channels of small students", 1, 512, tiny=2, fold=True)
    size: int = knob(28, "height and width", 8, 1024, paper=600, unit="px", fold=True)


class SelfTraining(nn.Module):
    """The teacher, then its students: images (B, C, H, W) in [0, 1] -> logits (B, classes) of the last student."""

    def __init__(self, params: SelfTrainingParams, facts: Facts):
        super().__init__()
        if len(facts.classes) < 2:
            raise ValueError(f"data: {params.data} has fewer than two classes; choose a labelled source")
        self.params, self.facts, self.networks = params, facts, nn.ModuleList()
        for width in (params.width, *[params.student_width] * params.rounds):
            net = backbone(params.backbone, facts.channels, width=width, drop_path=params.drop_path)
            self.networks.append(Classifier(net, len(facts.classes), params.dropout))
        self.learning = params.rounds

    def forward(self, images: Tensor) -> Tensor:
        return self.networks[-1](images)

    def features(self, images: Tensor) -> Tensor:
        """(B, D): what the network that learns, or learned last, makes of images."""
        return self.network(self.learning).get_submodule("backbone")(images)

    def network(self, round: int) -> nn.Module:
        """The teacher for 0, else the student of that round, or the last one."""
        return self.networks[min(round, len(self.networks) - 1)]


def self_training_loss(logits: Tensor, targets: Tensor, labelled: int) -> Tensor:
    """The equation above: logits and targets (B + U, classes), of which the first `labelled` = B rows have true labels.

    Divided by B, not B + U: pictures without a label weigh in by their number.
    """
    return soft_cross_entropy(logits, targets).sum() / labelled


def fit(
    net: nn.Module, labelled: Dataset, lesson: tuple[Dataset, Tensor] | None, params: SelfTrainingParams, bench: Bench,
    steps: int,
) -> Iterator[Report]:  # fmt: skip
    """Train one network under noise. A student's lesson: pictures, and their pseudo-labels (len, classes)."""
    augment, test = RandAugment(params.n, params.m), spread(bench.data(params.data, "test", params.size), COURSE)
    optimizer = torch.optim.AdamW(net.parameters(), params.lr, weight_decay=params.weight_decay)
    schedule = LambdaLR(optimizer, lambda step: cosine(step, steps, warmup=steps // 10, start=0.01))
    keep = (optimizer, schedule)
    others: Iterator[Batch | None]
    if lesson:
        others = bench.batches(lesson[0], params.batch * params.ratio, steps, keep)
    else:
        others = (None for _ in bench.steps(steps, keep))
    net.train()
    for other in others:
        drawn = torch.randint(len(labelled), (params.batch,), generator=host_generator(bench.generator))
        own = labelled.batch(drawn).to(bench.device)
        images, targets = own.images, F.one_hot(labels_in(own), len(labelled.facts.classes)).float()
        if lesson and other:
            images, targets = torch.cat([images, other.images]), torch.cat([targets, lesson[1][other.index]])
        loss = self_training_loss(net(augment(images, bench.generator)), targets, params.batch)
        bench.step(optimizer, loss, schedule=schedule)
        report: Report = {"loss": loss.detach() * params.batch / len(images)}
        if bench.due:
            report["accuracy"] = accuracy_of(net, bench.chunks(test))
        yield report


def train(model: SelfTraining, params: SelfTrainingParams, bench: Bench) -> Iterator[Report]:
    """The teacher, then student after student; the last report compares all on test pictures that none has seen."""
    data, test = (bench.data(params.data, split, params.size) for split in ("train", "test"))
    labels = bench.once(lambda: labels_of(data))
    known = bench.once(lambda: balanced(labels, params.labelled * len(data.facts.classes), bench.generator))
    labelled, (unlabelled, truth) = part(data, known), rest(data, labels, known, params, bench)

    teacher, *students = model.networks
    model.learning = 0
    yield from stage("teacher", fit(teacher, labelled, None, params, bench, params.teacher_steps))
    for name, student in zip(STAGES[1:], students, strict=False):
        told = bench.once(partial(answers, teacher, bench.chunks(unlabelled))).to(bench.device).softmax(dim=1)
        chosen = select(told, params.threshold, params.balance)
        chosen = chosen.repeat(1 + params.batch * params.ratio // len(chosen))  # a batch at least
        target = told if params.targets == "soft" else F.one_hot(told.argmax(dim=1), told.shape[1]).float()
        lesson = (part(unlabelled, chosen.cpu()), target[chosen]) if params.ratio else None
        shown = report_card(told, truth, params.threshold, unlabelled)
        model.learning += 1
        for report in stage(name, fit(student, labelled, lesson, params, bench, params.steps)):
            yield report | (shown if bench.due else {})
        teacher = student

    right = torch.stack([accuracy_of(net, bench.chunks(test)) for net in model.networks])
    yield {"accuracy": right[-1], "teacher_accuracy": right[0], "right": right, "network": list(STAGES[: len(right)])}


def rest(
    data: Dataset, labels: Tensor, known: Tensor, params: SelfTrainingParams, bench: Bench
) -> tuple[Dataset, Tensor]:
    """The pictures without labels, and their hidden labels (N,) for the report, -1 where nobody knows."""
    if params.unlabelled:
        others = bench.data(params.unlabelled, "train", params.size)
        if others.facts.channels != data.facts.channels:
            raise ValueError(f"unlabelled: {others.facts.channels} channels, data: {data.facts.channels}; choose alike")
        return others, torch.full((len(others),), -1, device=bench.device)
    hidden = torch.ones(len(data), dtype=torch.bool).index_fill(0, known, False).nonzero().flatten()
    if not len(hidden):
        raise ValueError(f"labelled: {params.labelled} a class leaves no picture without a label; lower it")
    return part(data, hidden), labels[hidden].to(bench.device)


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
def predictions(model: SelfTraining, params: PredictionsParams, images: Tensor, bench: Bench) -> Report:
    """What teacher and student make of each picture, and all their probabilities for one of them."""
    if params.picture > len(images):
        raise ValueError(f"picture: there are {len(images)} pictures, got {params.picture}")
    seen = RandAugment(2, params.m)(images, bench.generator) if params.m else images
    teacher, student = (model.network(round)(seen).softmax(dim=1) for round in (0, params.student))
    one, classes = params.picture - 1, list(model.facts.classes)
    every = {"teacher": teacher[one], "student": student[one], "class": classes}
    return {"seen": seen} | opinions(teacher, student, classes) | every


class DifferParams(Params):
    show: Literal["all", "student right", "teacher right", "both wrong"] = knob("all", "who is right on those shown")
    student: int = knob(ROUNDS, "which student is asked, by its round; beyond the last: the last", 1, ROUNDS)
    data: str = knob("", "labelled test pictures; empty: those of what the networks learned from", fold=True)


def where_they_differ(model: SelfTraining, params: DifferParams, images: None, bench: Bench) -> Report:
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


def threshold(model: SelfTraining, params: ThresholdParams, images: None, bench: Bench) -> Report:
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


METHOD = Method(
    params=SelfTrainingParams,
    build=SelfTraining,
    train=train,
    embed=SelfTraining.features,
    steps=lambda params: params.teacher_steps + params.rounds * params.steps,
    exhibits=(
        Curves(tuple(f"{stage}/accuracy" for stage in STAGES),
               "Share right on 500 test pictures. Each student starts anew and ends above the one that taught it."),
        Curves(tuple(f"{stage}/loss" for stage in STAGES),
               "Cross-entropy a picture. A student's cannot fall below its teacher's doubts."),
        Curves(("pseudo/right", "pseudo/kept"),
               "Share of pseudo-labels that is right, and of pictures that have one: both rise from round to round."),
        Bars(("confidence", "share_right", "range"),
             "How sure the newest teacher is, and how often right, by confidence. Where they differ, it misleads."),
        Pictures(("surely_right",), "The surest pseudo-labels that are right."),
        Pictures(("surely_wrong",), "The surest that are wrong: the student learns these as truth."),
        Table(("called", "truly"), "What the wrong ones above are called, and what they are."),
        Bars(("right", "network"), "At the end: share right on all test pictures."),
    ),
    lenses=(
        Lens("Predictions", PredictionsParams, predictions, (
            Pictures(("seen",), "The pictures as both see them."),
            Table(OPINIONS, "First choices. Trained under noise, the student holds out longer as M grows."),
            Bars(("teacher", "student", "class"), "All probabilities of the chosen picture."),
        ), "Ask teacher and student about your pictures, and make it harder for both."),
        Lens("Where they differ", DifferParams, where_they_differ, (
            Bars(("pictures", "who"), "Test pictures by who is right: what the student gained, and what it lost."),
            Pictures(("shown",), "Those on which their probabilities are furthest apart."),
            Table((*OPINIONS, "truth", "apart"), "What each says of them. Apart: total variation, 0 to 1."),
        ), "Test pictures on which the student learned to disagree with its teacher.", takes="nothing"),
        Lens("Threshold", ThresholdParams, threshold, (
            Curves(("kept", "right"), "Share of pictures that get a label, and of these labels that is right, at each "
                   "threshold: purer means fewer.", over="threshold"),
            Bars(("rightly", "wrongly", "class"), "Pseudo-labels above the chosen threshold, by class: a high one "
                 "keeps the easy classes and starves the hard."),
        ), "How a threshold trades the number of pseudo-labels against their truth.", takes="nothing"),
    ),
    claim=Claim(
        "A student taught by pseudo-labels is better than its teacher. Here: accuracy of the last student on all test "
        "pictures, 10 labels a class (baseline: the teacher's); against networks that see the labelled pictures alone, "
        "with as many steps, pictures a step, distortions and dropout.",
        figure="accuracy",
        arms={"self-training": {}, "labels alone": {"ratio": 0, "batch": 128}},
        baseline="teacher_accuracy",
    ),
)  # fmt: skip
