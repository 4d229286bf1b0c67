r"""PAWS.

Assran, Caron, Misra, Bojanowski, Joulin, Ballas, Rabbat. ICCV 2021. arXiv:2104.13963

Idea. A picture without a label is given one by its neighbours: how similar it is to a handful of labelled pictures of
each class says softly what it is. Two views of a picture must be given the same, sharpened answer. That all classes are
guessed equally often on average keeps everything from becoming one class. No head of a classifier is trained at all.

Equation. $$\pi(z)=\mathrm{softmax}\big(z\,Z_S^\top/\tau\big)\,Y_S,\qquad
\mathcal L=\frac1{2N}\sum_i\Big[H\big(\rho(\pi_i^+),\pi_i\big)+H\big(\rho(\pi_i),\pi_i^+\big)\Big]-H(\bar\rho)$$

Where. $z, Z_S$: unit vectors of a view and of the labelled supports
$Y_S$: the supports' labels, smoothed
$\pi_i, \pi_i^+$: what two views of a picture are taken for
$\rho$: sharpened, by the power $1/T$; without gradient
$\bar\rho$: the mean sharpened answer of all views of the step

Differs. The demo is a residual network of 77 000 weights on garments of 28 pixels, of which 4 of each class keep their
label: two views of a picture, no small crops, AdamW in place of LARS, and no head for fine-tuning: a picture is taken
for what all labelled pictures together make of it. `even` off leaves out $H(\bar\rho)$; `learn` labelled gives the same
network the labelled pictures alone, each to be named by other views of them.

Expect. The demo takes 51 CPU-seconds of a core. Over three seeds 40 labelled pictures, 4 of each class, know 0.708,
0.695 and 0.723 of the test pictures, their pixels 0.568, 0.583 and 0.611. The same network taught by the labelled
pictures alone comes to 0.658, 0.602 and 0.660; where classes need not be even, to 0.650, 0.652 and 0.662. With 10 of
each class, 8 of them in a step and 900 steps, the gain over the labels alone was within the noise (0.729 and 0.722 of
one seed). Of objects in colour, four labelled of each kind, it knows 0.814, 0.773 and 0.717 (pixels: 0.300, 0.442,
0.406).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from engine.augment.views import simclr
from engine.bench import Bench
from engine.data.base import Batch, Dataset, Facts
from engine.data.subset import balanced, labels_in, labels_of, part, spread
from engine.lenses.features import MAP, NEIGHBOURS
from engine.lenses.supports import SUPPORTS
from engine.losses.soft_neighbours import cross_entropy, mean_entropy, sharpened, soft_neighbour
from engine.method import Bars, Claim, Curves, Method, Params, Pictures, Report, knob
from engine.metrics.classification import accuracy
from engine.metrics.readout import COURSE, IN_COLOUR, WORTH, Readout
from engine.nets.classifier import backbone
from engine.nets.projection import projection
from engine.ops.across import gather
from engine.ops.choose import host_generator
from engine.ops.schedule import cosine

SHOWN, ASKED = 8, 500
"""Pictures in an exhibit; test pictures asked in the course of training."""


class PAWSParams(Params):
    data: str = knob("garments", "labelled pictures: a set by name, or folder:PATH with a folder a class")
    labelled: int = knob(4, "pictures of each class that keep their label", 2, 10_000, tiny=3, paper=128)
    supports: int = knob(4, "of them in each step", 1, 1000, tiny=2, paper=7)
    learn: Literal["all", "labelled"] = knob("all", "all: pictures without label too; labelled: only those with one")
    temperature: float = knob(0.1, "softmax temperature of similarity", 0.01, 1.0, log=True)
    sharpen: float = knob(0.25, "temperature of sharpening; 1: none", 0.05, 1.0)
    even: bool = knob(True, "let all classes be guessed equally often on average; without, one may take all")
    batch: int = knob(64, "pictures without label a step", 2, 65_536, tiny=8, paper=4096, fold=True)
    steps: int = knob(800, "optimiser steps", 1, 10**7, tiny=3, paper=94_000, unit="steps")
    crop: float = knob(0.6, "least share of a picture that a view keeps", 0.05, 1.0, paper=0.14, fold=True)
    strength: float = knob(0.4, "strength of the distortion of colour", 0.0, 2.0, paper=1.0, fold=True)
    smoothing: float = knob(0.1, "share of a support's label spread over all classes", 0.0, 0.9, fold=True)
    lr: float = knob(2e-3, "learning rate at its peak", 1e-6, 10.0, log=True, fold=True)
    warmup: int = knob(50, "steps over which the learning rate rises", 0, 10**6, tiny=1, paper=3125, fold=True)
    weight_decay: float = knob(1e-4, "pull of all weights towards 0", 0.0, 1.0, paper=1e-6, fold=True)
    dim: int = knob(64, "numbers that the head tells of a picture", 2, 4096, tiny=8, paper=2048, fold=True)
    backbone: str = knob("small", "the network: small, or any of timm's by name", paper="resnet50", fold=True)
    width: int = knob(16, "channels of the small network", 1, 512, tiny=2, fold=True)
    size: int = knob(28, "height and width", 8, 1024, paper=224, unit="px", fold=True)


class PAWS(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> logarithms (B, classes) of what the kept supports take them for.

    support (S, dim), support_labels and support_places (S,): what the network makes of all labelled pictures, kept at
    evaluations, their labels, and their places in the training set.
    """

    support: Tensor
    support_labels: Tensor
    support_places: Tensor

    def __init__(self, params: PAWSParams, facts: Facts):
        super().__init__()
        if len(facts.classes) < 2:
            raise ValueError(f"data: {params.data} has fewer than two classes; choose a labelled source")
        self.params, self.facts = params, facts
        self.backbone = backbone(params.backbone, facts.channels, width=params.width)
        self.backbone.to(memory_format=torch.channels_last)  # on a CPU, too, the small network is faster so
        width = self.backbone.out_features
        self.head = projection((width, width, params.dim))
        count = params.labelled * len(facts.classes)
        self.register_buffer("support", torch.randn(count, params.dim))
        self.register_buffer("support_labels", torch.arange(count) % len(facts.classes))
        self.register_buffer("support_places", torch.arange(count))

    def features(self, images: Tensor) -> Tensor:
        return self.backbone(images)

    def project(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))

    def forward(self, images: Tensor) -> Tensor:
        return self.take_for(self.project(images), self.support, self.support_labels).clamp(min=1e-12).log()

    def view(self, images: Tensor, generator: Generator) -> Tensor:
        p = self.params
        return simclr(strength=p.strength, area=(p.crop, 1.0), blur=0.0)(images, generator)

    def take_for(self, z: Tensor, supports: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """Probabilities (B, classes) of z (B, dim) by supports (S, dim) and their labels (S,)."""
        classes = len(self.facts.classes)
        rows = F.one_hot(labels, classes).float() * (1 - smoothing) + smoothing / classes
        return soft_neighbour(z, supports, rows, self.params.temperature)

    @torch.no_grad()
    def keep(self, labelled: Batch, places: Tensor) -> None:
        """Keep what the network makes of the labelled pictures now; places (S,): where they stand in the set."""
        self.support.copy_(self.project(labelled.images))
        self.support_labels.copy_(labels_in(labelled))
        self.support_places.copy_(places)


def paws_loss(one: Tensor, two: Tensor, sharpen: float, even: bool) -> tuple[Tensor, Tensor]:
    """The equation above of what two views are taken for, (B, C) each; and the entropy of the mean answer (nats)."""
    wanted_one, wanted_two = sharpened(two, sharpen), sharpened(one, sharpen)
    agree = torch.cat((cross_entropy(one, wanted_one), cross_entropy(two, wanted_two))).mean()
    entropy = mean_entropy(torch.cat((sharpened(one, sharpen), sharpened(two, sharpen))))
    return (agree - entropy if even else agree), entropy


def train(model: PAWS, p: PAWSParams, bench: Bench) -> Iterator[Report]:
    data, test = (bench.data(p.data, split, p.size) for split in ("train", "test"))
    classes, dice = len(model.facts.classes), host_generator(bench.generator)
    chosen = bench.once(lambda: balanced(labels_of(data), p.labelled * classes, dice))
    everyone = part(data, chosen)
    labelled = everyone.batch(torch.arange(len(everyone))).to(bench.device)
    truth = labels_in(labelled).cpu()
    few = min(p.supports, int(torch.bincount(truth, minlength=classes).min()))
    readout = Readout(bench, everyone, test, model.eval().features)
    optimizer = torch.optim.AdamW(model.parameters(), p.lr, weight_decay=p.weight_decay)
    warmup = min(p.warmup, p.steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine(step, p.steps, warmup))
    for batch in bench.batches(data, p.batch, p.steps, keep=(optimizer, schedule)):
        model.train()
        drawn = balanced(truth, few * classes, dice)
        own, labels = labelled.images[drawn], labels_in(labelled)[drawn]
        unknown = batch.images if p.learn == "all" else own
        views = [model.view(images, bench.generator) for images in (unknown, unknown, own)]
        one, two, supports = model.project(torch.cat(views)).split([len(view) for view in views])
        voters = gather(supports), gather(labels)  # of all ranks, as in the released code
        told = [model.take_for(z, *voters, p.smoothing) for z in (one, two)]
        if p.learn == "all":
            loss, entropy = paws_loss(told[0], told[1], p.sharpen, p.even)
        else:  # what the supports take other views of themselves for, against their true labels
            wanted = F.one_hot(labels, classes).float().repeat(2, 1)
            loss, entropy = cross_entropy(torch.cat(told), wanted).mean(), mean_entropy(torch.cat(told))
        bench.step(optimizer, loss, schedule=schedule)
        report: Report = {"loss": loss.detach(), "entropy of the mean": entropy.detach()}
        if p.learn == "all" and batch.labels is not None:
            report["guessed right"] = accuracy(told[0].argmax(dim=1), batch.labels)
        if bench.due:
            report |= {"one": views[0][:SHOWN], "two": views[1][:SHOWN], "support": views[2][:SHOWN]}
            model.eval().keep(labelled, chosen)
            last = bench.done == p.steps
            report |= readout(model.features, model.project, last)
            report |= answers(model, test if last else spread(test, ASKED), bench)
        yield report


@torch.no_grad()
def answers(model: PAWS, asked: Dataset, bench: Bench) -> Report:
    """How often the labelled pictures know, by the head, the class of those asked; and how often each is guessed."""
    batches = list(bench.chunks(asked))
    told, truth = (
        torch.cat(rows) for rows in zip(*((model(one.images), labels_in(one)) for one in batches), strict=True)
    )
    return {
        "accuracy": accuracy(told.argmax(dim=1), truth),
        "share guessed": told.exp().mean(dim=0), "class": list(model.facts.classes),
    }  # fmt: skip


METHOD = Method(
    params=PAWSParams,
    build=PAWS,
    train=train,
    embed=PAWS.features,
    exhibits=(
        Curves(("loss",), "Disagreement of sharpened answers, less the entropy of the mean answer. Falls below 0 when "
               "all classes are guessed and each guess is sure."),
        Curves(("accuracy",), "How often all labelled pictures together know a test picture's class."),
        Curves(("entropy of the mean",), "Entropy of what is guessed on average (nats): its most is the logarithm of "
               "the number of classes; 0 means that all is taken for one class, which is collapse."),
        Curves(("guessed right",), "How often a picture without label is taken for what it is. Its label is looked at "
               "here only."),
        *WORTH,
        Pictures(("one", "two", "support"), "Two views of pictures without label, and some of the step's supports."),
        Bars(("share guessed", "class"), "How often each class is guessed among test pictures."),
    ),
    lenses=(SUPPORTS, NEIGHBOURS, MAP),
    claim=Claim(
        "Pictures without labels, named softly by a few that have one, teach more than the few alone. Measured as the "
        "share of test pictures that 4 labelled pictures of each class know, against the same network that learned "
        "from those alone (baseline: their pixels).",
        figure="accuracy",
        course=("accuracy", *COURSE),
        arms={"PAWS": {}, "labelled alone": {"learn": "labelled"}, "not made even": {"even": False}},
        baseline="pixels",
        also=IN_COLOUR,
    ),
)  # fmt: skip
