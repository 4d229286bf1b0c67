"""A lens for features judged on labelled pictures: how few labels do they need?"""

from __future__ import annotations

import statistics
from typing import Any, Protocol

import torch
from torch import Tensor

from engine.bench import Bench
from engine.data.base import Facts
from engine.data.subset import balanced, spread
from engine.method import Curves, Lens, Params, Report, Table, knob
from engine.metrics.classification import accuracy
from engine.metrics.neighbours import PIXELS, embed_all, shared_classes
from engine.metrics.readers import linear_probe

SHOTS = (1, 2, 5, 10, 20)
"""Labelled pictures of each class."""


class Judged(Protocol):
    """A model with features, whose params name the labelled set by which they are judged."""

    facts: Facts
    params: Any

    def features(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] -> features (B, D)."""


class FewLabelsParams(Params):
    draws: int = knob(5, "draws of the labelled pictures, over which the mean is taken", 1, 50, tiny=1)
    asked: int = knob(1000, "test pictures", 10, 100_000, tiny=40)
    bank: int = knob(2000, "pictures that labels are drawn from", 20, 100_000, tiny=300, fold=True)
    seed: int = knob(0, "other draws", 0, 9999)


@torch.no_grad()
def few_labels(model: Judged, params: FewLabelsParams, images: None, bench: Bench) -> Report:
    """How often a linear probe of 1 to 20 labelled pictures a class knows a test picture's class."""
    known, test = (bench.data(model.params.judged, split, model.facts.size) for split in ("train", "test"))
    classes = shared_classes(known, test)
    if not classes:
        raise ValueError(f"judged: {model.params.judged!r} has no classes that its two splits share; train with one "
                         "that has, as garments")  # fmt: skip
    known, test = spread(known, params.bank), spread(test, params.asked)
    found: dict[str, list[list[float]]] = {}
    for name, net in (("features", model.features), ("pixels", PIXELS)):
        bank, labels = embed_all(net, bench.chunks(known))
        asked, truth = embed_all(net, bench.chunks(test))
        dice = torch.Generator().manual_seed(params.seed)
        found[name] = [
            [_right(bank, labels, asked, truth, classes, shots, dice) for _ in range(params.draws)] for shots in SHOTS
        ]
    curves = {name: torch.tensor([[shots, statistics.fmean(draws)] for shots, draws in zip(SHOTS, told, strict=True)])
              for name, told in found.items()}  # fmt: skip
    return {
        **curves, "labels a class": torch.tensor(SHOTS), "by features": curves["features"][:, 1],
        "by pixels": curves["pixels"][:, 1],
        "between draws": torch.tensor([statistics.pstdev(draws) for draws in found["features"]]),
    }  # fmt: skip


def _right(
    bank: Tensor, labels: Tensor, asked: Tensor, truth: Tensor, classes: int, shots: int, dice: torch.Generator
) -> float:
    drawn = balanced(labels.cpu(), min(shots * classes, len(labels)), dice).to(bank.device)
    return accuracy(linear_probe(bank[drawn], labels[drawn], classes)(asked).argmax(dim=1), truth).item()


FEW_LABELS = Lens(
    "Few labels", FewLabelsParams, few_labels,
    (
        Curves(("features", "pixels"), "Share of test pictures whose class a linear probe knows, by the labelled "
               "pictures of each class that it learned from.", over="labels a class"),
        Table(("labels a class", "by features", "by pixels", "between draws"), "The same in numbers, and the standard "
              "deviation from draw to draw by features: with one label a class, luck decides much."),
    ),
    "Features are worth most where labels are few: how few will do?", takes="nothing",
)  # fmt: skip
