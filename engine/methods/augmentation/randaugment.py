r"""RandAugment.

Cubuk, Zoph, Shlens, Le. NeurIPS 2020. arXiv:1909.13719

Idea. Give each training picture N operations drawn blindly from fourteen, all at one strength M. Two whole numbers that
can be tried on the task itself take the place of a learned policy, whose search took thousands of GPU hours on a proxy.

Equation. $$\tilde x=o_{k_N}(\cdots o_{k_1}(x;M)\cdots;M),\qquad k_1,\dots,k_N\sim U\{1,\dots,14\}$$

Where. $x$: a training picture
$\tilde x$: what the network sees of it, anew at each step
$o_k$: operation k, from the identity over shears to equalize
$N$: how many operations, one after the other
$M$: their common magnitude, 0 to 30

Differs. torchvision's table of magnitudes, in which every operation grows with M, is the default; the authors' released
table is scale "tf". Shears, shifts, turns and (in torchvision's scale) enhancements are reversed half the time. On grey
pictures the operation color does nothing and is still drawn, so that each keeps its chance of 1/14. The demo trains a
small residual network on 1 000 garments with AdamW; the paper ResNet-50 on ImageNet, after random crops and mirroring.

Expect. The demo takes 15 CPU-seconds of a core. Over three seeds the test accuracy is 0.833, 0.837 and 0.863
with RandAugment, 0.803, 0.808 and 0.812 without augmentation; nearest neighbours by pixels, the baseline, reach 0.74
to 0.78.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from engine.augment import RandAugment, Scale, cutmix, mixup
from engine.augment.inspect import applied
from engine.augment.magnitudes import LARGEST
from engine.augment.views import Crop
from engine.bench import Bench
from engine.data.base import Batch, Dataset, Facts
from engine.data.subset import balanced, labels_in, labels_of, part, spread
from engine.lenses.augmented import DRAWS, SHEET, STILL, TABLE
from engine.losses.soft import soft_cross_entropy
from engine.method import Bars, Claim, Curves, Method, Params, Pictures, Report, Sweep, Table, knob
from engine.metrics.answers import accuracy_of
from engine.metrics.neighbours import PIXELS, knn_accuracy
from engine.nets.classifier import Classifier, backbone
from engine.ops.schedule import cosine
from engine.ops.warp import rotation, warp

SHOWN, COURSE, BANK = 8, 500, 10_000
"""Pictures in an exhibit; pictures that are asked in the course of training; those that the baseline knows at most."""


class RandAugmentParams(Params):
    data: str = knob("garments", "labelled pictures: a set by name, or folder:PATH with a folder a class")
    train_images: int = knob(1000, "training pictures, evenly over the classes; 0: all", 0, 10**7, tiny=40, paper=0)
    n: int = knob(2, "operations for each picture; 0: RandAugment is off", 0, 8)
    m: int = knob(9, "magnitude of all of them", 0, LARGEST)
    scale: Scale = knob("torchvision", TABLE, paper="tf")
    mix: Literal["none", "mixup", "cutmix"] = knob("none", "afterwards, mix pairs of pictures and of their labels")
    backbone: str = knob("small", "the network: small, or any of timm's by name", paper="resnet50")
    steps: int = knob(600, "optimiser steps", 1, 10**7, tiny=3, paper=56_300, unit="steps")
    batch: int = knob(64, "pictures a step", 2, 65_536, tiny=8, paper=4096, fold=True)
    lr: float = knob(3e-3, "learning rate at its peak", 1e-6, 10.0, paper=1.6, log=True, fold=True)
    optimizer: Literal["adamw", "sgd"] = knob("adamw", "sgd has momentum 0.9", paper="sgd", fold=True)
    weight_decay: float = knob(0.01, "pull of all weights towards 0", 0.0, 1.0, paper=1e-4, fold=True)
    crop: float = knob(1.0, "least share a random crop keeps; 1: no crop, no mirror", 0.05, 1.0, paper=0.08, fold=True)
    mix_alpha: float = knob(0.2, "Beta parameter of the mixture; 0: none", 0.0, 10.0, fold=True)
    width: int = knob(16, "channels of the small network", 1, 512, tiny=2, fold=True)
    dropout: float = knob(0.0, "share of features left out in training", 0.0, 0.9, fold=True)
    size: int = knob(28, "height and width", 8, 1024, paper=224, unit="px", fold=True)


class AugmentedClassifier(Classifier):
    """Images (B, C, H, W) in [0, 1] -> logits (B, classes); knows its classes' names."""

    def __init__(self, params: RandAugmentParams, facts: Facts):
        if len(facts.classes) < 2:
            raise ValueError(f"data: {params.data} has fewer than two classes; choose a labelled source")
        net = backbone(params.backbone, facts.channels, width=params.width)
        super().__init__(net, len(facts.classes), params.dropout)
        self.classes = facts.classes


def train(model: AugmentedClassifier, params: RandAugmentParams, bench: Bench) -> Iterator[Report]:
    """One network on augmented pictures; `neighbours` is what the pixels of the same pictures would say alone."""
    data, test = (bench.data(params.data, split, params.size) for split in ("train", "test"))
    if params.train_images:
        data = part(data, bench.once(lambda: some(data, params.train_images, bench)))
    motion = bench.once(lambda: torch.rand(len(test), 3, generator=bench.generator, device=bench.device) * 2 - 1)
    motion = motion.to(bench.device)  # a resumed run finds it on the CPU
    known = bench.chunks(spread(data, BANK))
    neighbours = bench.once(lambda: knn_accuracy(PIXELS, known, bench.chunks(test), len(model.classes), 5).item())

    crop, augment = Crop((params.crop, 1.0)), RandAugment(params.n, params.m, params.scale)
    mix = {"mixup": mixup, "cutmix": cutmix}.get(params.mix)
    optimizer = make_optimizer(model, params)
    schedule = LambdaLR(optimizer, lambda step: cosine(step, params.steps, warmup=params.steps // 10, start=0.01))
    model.train()
    for batch in bench.batches(data, params.batch, params.steps, keep=(optimizer, schedule)):
        images = crop(batch.images, bench.generator) if params.crop < 1 else batch.images
        decisions = augment.draw(len(images), bench.generator)
        seen, targets = augment.apply(images, decisions), F.one_hot(labels_in(batch), len(model.classes)).float()
        if mix:
            seen, targets, *_ = mix(seen, targets, bench.generator, params.mix_alpha)
        loss = soft_cross_entropy(model(seen), targets).mean()
        bench.step(optimizer, loss, schedule=schedule)
        report: Report = {"loss": loss.detach()}
        if bench.due:
            report |= {
                "accuracy": accuracy_of(model, bench.chunks(spread(test, COURSE))),
                "train_accuracy": accuracy_of(model, bench.chunks(spread(data, COURSE))),
                "neighbours": neighbours, "original": batch.images[:SHOWN], "seen": seen[:SHOWN],
                "applied": applied(augment, decisions, (params.size, params.size))[:SHOWN],
            }  # fmt: skip
        if bench.done == params.steps:
            whole = accuracy_of(model, bench.chunks(test))
            after = accuracy_of(model, moved(bench.chunks(test), motion))
            report |= {
                "test_accuracy": whole, "moved_accuracy": after,
                "right": torch.stack([whole, after, whole.new_tensor(neighbours)]),
                "asked": ["as they are", "turned and shifted", "as they are, by neighbours"],
            }  # fmt: skip
        yield report


def some(data: Dataset, count: int, bench: Bench) -> Tensor:
    """Positions of `count` training pictures, evenly over the classes; of all there are when that is less."""
    labels = labels_of(data)
    return balanced(labels, min(count, int((labels >= 0).sum())), bench.generator)


def make_optimizer(model: AugmentedClassifier, params: RandAugmentParams) -> torch.optim.Optimizer:
    if params.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), params.lr, 0.9, weight_decay=params.weight_decay, nesterov=True)
    return torch.optim.AdamW(model.parameters(), params.lr, weight_decay=params.weight_decay)


def moved(batches: Iterable[Batch], motion: Tensor) -> Iterator[Batch]:
    """The batches with their images turned by up to 20 degrees and shifted by up to a tenth of their side; motion
    (N, 3) in [-1, 1], by position in the set."""
    for batch in batches:
        turn, *shift = motion[batch.index].unbind(dim=1)
        matrix = rotation(20 * turn)
        matrix[..., 2] = torch.stack(shift, dim=1) * batch.images.shape[-1] / 10
        yield replace(batch, images=warp(batch.images, matrix))


METHOD = Method(
    params=RandAugmentParams,
    build=AugmentedClassifier,
    train=train,
    embed=lambda model, images: model.backbone(images),
    exhibits=(
        Curves(("loss",), "Cross-entropy on what the network saw: the stronger the augmentation, the higher it stays."),
        Curves(
            ("accuracy", "train_accuracy", "neighbours"),
            "Share right on 500 test pictures and on 500 it trained on: the gap between them is what augmentation is "
            "to close. The flat line asks the most similar training pictures, without any network.",
        ),
        Pictures(("original", "seen"), "Training pictures, and what the network saw of them at this step."),
        Table(("applied",), "What was done to each picture above, in this order."),
        Bars(("right", "asked"), "At the end, on all test pictures: as they are, and turned by up to 20 degrees and "
             "shifted by up to a tenth."),
    ),
    lenses=(SHEET, DRAWS, STILL),
    claim=Claim(
        "Two numbers, no search, and the network is better on pictures it has not seen. Here: accuracy on all test "
        "pictures after 600 steps on 1 000 garments with N = 2, M = 9, against the same training without RandAugment.",
        figure="test_accuracy",
        arms={"RandAugment": {}, "no augmentation": {"n": 0}},
        baseline="neighbours",
    ),
    sweeps=(
        Sweep(
            "N × M by size", {"n": (1, 2, 3), "m": (3, 9, 15), "width": (8, 24), "train_images": (500, 4000)},
            "Does the best strength grow with the network and with the data, as the paper finds?",
        ),
        Sweep(
            "N × M by width", {"n": (0, 1, 2, 3), "m": (0, 10, 20, 30), "width": (8, 24)},
            "Short runs, about eight minutes of one core: does a wider network bear a larger M?", {"steps": 300},
        ),
        Sweep("N × M", {"n": (0, 1, 2, 3), "m": (3, 9, 15, 21)}, "Which strength suits the demo?"),
    ),
)  # fmt: skip
