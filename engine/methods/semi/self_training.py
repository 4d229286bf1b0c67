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
to L2). Zoph et al. (NeurIPS 2020, arXiv:2006.06882) use the same loop with hard labels above a threshold, and
weigh it against pre-training. So does `start`: teacher and students begin alike, with one pre-trained backbone and a
new head each. Supervised, it has learned the labels of another set; self-supervised, to know SimCLR's views of the
pictures of `data` again, by NT-Xent. The paper pre-trains on ImageNet, and its tasks are detection and segmentation.

Expect. The demo takes 75 CPU-seconds of a core. Over three seeds the last student is right on 0.769, 0.746 and
0.777 of the test pictures, its teacher on 0.713, 0.721 and 0.717. Networks that see the labelled pictures alone, with
as many steps, end at 0.745, 0.731 and 0.742. With two students of 300 steps the gain over them was not sure.
Pre-training or self-training: 36 short runs, one a cell, so that a point or two may be chance. With 5 labels a class
and no distortion a self-supervised start is worth 7.4 points to a teacher, a supervised one 5.0, a student 4.1. With
distortion the self-supervised start is worth -1.7 to 0.5 points, however few the labels: as in the paper, pre-training
stops helping. Students gain 1.0 to 4.1 points up to 20 labels a class; with 400 it is 0.3, 1.8 and -0.1, though the
paper's still gain there. A student also sees twice as many pictures as its teacher.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal, Self, cast

import torch
import torch.nn.functional as F
from pydantic import model_validator
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from engine.augment import RandAugment
from engine.augment.magnitudes import LARGEST
from engine.augment.views import simclr, weak
from engine.bench import Bench
from engine.data.base import Batch, Dataset, Facts
from engine.data.subset import balanced, labels_in, labels_of, part, spread
from engine.lenses.pupils import CARD, LENSES, ROUNDS
from engine.lenses.starts import READY, STARTS
from engine.losses.contrastive import nt_xent
from engine.losses.soft import soft_cross_entropy
from engine.method import Bars, Claim, Curves, Method, Params, Report, knob, stage
from engine.metrics.answers import accuracy_of, answers
from engine.metrics.neighbours import knn_accuracy
from engine.metrics.pseudo_labels import report_card
from engine.nets.classifier import Backbone, Classifier, backbone
from engine.nets.projection import projection
from engine.ops.choose import host_generator
from engine.ops.pseudo_labels import select
from engine.ops.schedule import cosine

Start = Literal["random", "supervised", "self-supervised"]
NETWORKS = ("teacher", *(f"student {round}" for round in range(1, ROUNDS + 1)))
COURSE, TOLD = 500, 64
"""Test pictures that are asked in the course of training; numbers that a start without labels tells of a view."""
VIEW = simclr(strength=0.5, area=(0.3, 1.0), blur=0.0)
"""What that start tells apart: the views of SimCLR's demo."""


class SelfTrainingParams(Params):
    data: str = knob("garments", "labelled pictures: a set by name, or folder:PATH with a folder a class")
    labelled: int = knob(10, "pictures of each class that keep their label", 1, 10_000, tiny=2, paper=1280)
    rounds: int = knob(3, "students, each taught by the one before", 1, ROUNDS)
    ratio: int = knob(3, "pictures without label for each labelled one; 0: labels alone", 0, 28, tiny=2)
    targets: Literal["soft", "hard"] = knob("soft", "the teacher's probabilities, or its first choice", fold=True)
    threshold: float = knob(0.7, "confidence that a pseudo-label must exceed", 0.0, 0.99, tiny=0.0)
    m: int = knob(9, "magnitude of RandAugment, the noise on pictures; 0: no distortion", 0, LARGEST, paper=27)
    start: Start = knob("random", "what networks begin with: nothing, a backbone that learned another set's labels, or "
                        "one that learned from the pictures of data alone", tiny="self-supervised")  # fmt: skip
    steps: int = knob(500, "optimiser steps of each student", 1, 10**7, tiny=3, paper=219_000, unit="steps")
    teacher_steps: int = knob(300, "those of the teacher", 1, 10**7, tiny=3, paper=219_000, unit="steps", fold=True)
    start_data: str = knob("glyphs", "the labelled set of a supervised start", fold=True)
    start_steps: int = knob(250, "optimiser steps of a start", 1, 10**7, tiny=3, unit="steps", fold=True)
    start_batch: int = knob(64, "pictures a step of a start", 2, 65_536, tiny=8, fold=True)
    temperature: float = knob(0.2, "softmax temperature of a self-supervised start", 0.01, 1.0, log=True, fold=True)
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

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.start != "random" and self.backbone == "small" and self.width != self.student_width:
            raise ValueError(
                f"start: a backbone of width {self.width} does not fit students of width {self.student_width}; "
                "make the widths equal, or start at random"
            )
        return self


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
    augment = RandAugment(params.n if params.m else 0, params.m)
    test = spread(bench.data(params.data, "test", params.size), COURSE)
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


def pretrain(body: Backbone, labelled: Dataset, params: SelfTrainingParams, bench: Bench) -> Iterator[Report]:
    """Give a backbone its start: it learns the labels of another set, or to know views of its own pictures again.

    The head that this takes is thrown away. accuracy: how often the nearest labelled pictures know a test picture's
    class.
    """
    named = params.start == "supervised"
    data = bench.data(params.start_data if named else params.data, "train", params.size)
    if data.facts.channels != labelled.facts.channels:
        raise ValueError(
            f"start_data: {data.facts.channels} channels, data: {labelled.facts.channels}; choose sets that are alike"
        )
    if named and len(data.facts.classes) < 2:
        raise ValueError(f"start_data: {params.start_data} has fewer than two classes; choose a labelled source")
    test, width = spread(bench.data(params.data, "test", params.size), COURSE), body.out_features
    head = projection((width, len(data.facts.classes)) if named else (width, width, TOLD), norm=False).to(bench.device)
    learned = [*body.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(learned, params.lr, weight_decay=params.weight_decay)
    steps, shifted = params.start_steps, weak(flip=0.0)
    schedule = LambdaLR(optimizer, lambda step: cosine(step, steps, warmup=steps // 10, start=0.01))
    for batch in bench.batches(data, params.start_batch, steps, keep=(optimizer, schedule, head)):
        body.train()
        if named:
            loss = F.cross_entropy(head(body(shifted(batch.images, bench.generator))), labels_in(batch))
        else:
            views = torch.cat([VIEW(batch.images, bench.generator) for _ in range(2)])
            one, two = head(body(views)).float().chunk(2)
            loss = nt_xent(one, two, params.temperature)
        bench.step(optimizer, loss, schedule=schedule)
        report: Report = {"loss": loss.detach()}
        if bench.due:
            sets = bench.chunks(labelled), bench.chunks(test)
            report["accuracy"] = knn_accuracy(body.eval(), *sets, len(labelled.facts.classes))
        yield report


def train(model: SelfTraining, params: SelfTrainingParams, bench: Bench) -> Iterator[Report]:
    """The teacher, then student after student; the last report compares all on test pictures that none has seen.

    Where there is a start, the teacher's backbone is trained for it, and each student's begins as a copy of what it was
    before the teacher's labels.
    """
    data, test = (bench.data(params.data, split, params.size) for split in ("train", "test"))
    labels = bench.once(lambda: labels_of(data))
    known = bench.once(lambda: balanced(labels, params.labelled * len(data.facts.classes), bench.generator))
    labelled, (unlabelled, truth) = part(data, known), rest(data, labels, known, params, bench)

    teacher, *students = cast("Iterator[Classifier]", model.networks)
    model.learning = 0
    if params.start != "random":
        yield from stage("start", pretrain(teacher.backbone, labelled, params, bench))
        bench.once(partial(hand_over, teacher, students))
    yield from stage("teacher", fit(teacher, labelled, None, params, bench, params.teacher_steps))
    for name, student in zip(NETWORKS[1:], students, strict=False):
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
    yield {"accuracy": right[-1], "teacher_accuracy": right[0], "right": right, "network": list(NETWORKS[: len(right)])}


def hand_over(teacher: Classifier, students: list[Classifier]) -> None:
    """The teacher's backbone as it is now, copied to all students; heads stay as they are."""
    for student in students:
        student.backbone.load_state_dict(teacher.backbone.state_dict())


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


METHOD = Method(
    params=SelfTrainingParams,
    build=SelfTraining,
    train=train,
    embed=SelfTraining.features,
    steps=lambda params: (params.start != "random") * params.start_steps + params.teacher_steps
    + params.rounds * params.steps,
    exhibits=(
        Curves(tuple(f"{name}/accuracy" for name in NETWORKS),
               "Share right on 500 test pictures. Each student starts anew and ends above the one that taught it."),
        Curves(tuple(f"{name}/loss" for name in NETWORKS),
               "Cross-entropy a picture. A student's cannot fall below its teacher's doubts."),
        *CARD,
        Curves(("start/accuracy",), "Pre-training: how often the nearest labelled pictures know the class."),
        Curves(("start/loss",), "Pre-training: cross-entropy on the other set, or NT-Xent of two views."),
        Bars(("right", "network"), "At the end: share right on all test pictures."),
    ),
    lenses=(*LENSES, STARTS),
    claim=Claim(
        "A student taught by pseudo-labels is better than its teacher. Here: accuracy of the last student on all test "
        "pictures, 10 labels a class (baseline: the teacher's); against networks that see the labelled pictures alone, "
        "with as many steps, pictures a step, distortions and dropout.",
        figure="accuracy",
        arms={"self-training": {}, "labels alone": {"ratio": 0, "batch": 128}},
        baseline="teacher_accuracy",
    ),
    sweeps=(READY,),
)  # fmt: skip
