"""What features are worth in the course of learning them, and whether they collapse: the same for every method."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from engine.bench import Bench
from engine.data.base import Dataset
from engine.data.subset import spread
from engine.method import Bars, Curves, Report
from engine.metrics.classification import accuracy
from engine.metrics.embedding import effective_rank, feature_deviation
from engine.metrics.neighbours import PIXELS, embed_all, knn_accuracy, shared_classes, vote
from engine.metrics.readers import linear_probe

ASKED, SAMPLE = 2000, 500
"""Test pictures that are asked, always the same; those of them that go through the head."""
COURSE = ("neighbours", "probe", "deviation", "directions")
"""What a `Readout` tells of features that a claim's receipt keeps over the steps."""
IN_COLOUR = {"objects": {"data": "objects", "size": 32}}
"""Other pictures, with which a claim measures what features are worth, too."""


Embed = Callable[[Tensor], Tensor]
"""Images (B, C, H, W) in [0, 1] -> (B, D), of a network in eval mode."""


class Readout:
    """Two readers of frozen features that learn from a few labelled pictures, a vote of the nearest ones and a linear
    probe; and two numbers that see a collapse.

    Call it at evaluations. Without classes that training and test pictures share, only the numbers are told.
    """

    def __init__(self, bench: Bench, known: Dataset, test: Dataset, untrained: Embed):
        """known: the pictures whose label may be read. untrained: a network's features before training; they are read
        here, once in a run's life."""
        self.bench, self.known, self.asked = bench, known, spread(test, ASKED)
        self.sample = spread(test, SAMPLE)
        self.classes = shared_classes(known, test)
        self.before = bench.once(lambda: {name: float(value) for name, value in self._read(untrained).items()})

    @torch.no_grad()
    def __call__(self, features: Embed, head: Embed | None = None, last: bool = False) -> Report:
        """How often the nearest known pictures and a linear probe know the class of a test picture ("neighbours",
        "probe"), beside the nearest "after the head" and by "pixels"; in how many "directions" features vary; and how
        much of it is left after the `head`, in what the loss compares ("deviation": 1 evenly over the sphere, 0
        collapsed).

        last: training has ended: "untrained" and the bars "right" by "way" are told, too.
        """
        report = self._read(features)
        if head is not None:
            z, truth = embed_all(head, self.bench.chunks(self.sample))
            report["deviation"] = feature_deviation(z) * z.shape[1] ** 0.5
            if self.classes and z.any(dim=1).all():
                report["after the head"] = vote(*self._labelled(head), z, truth, self.classes)
        if self.classes:
            report["pixels"] = self._by_pixels
        return report | (self._compared(report) if last and self.classes else {})

    def _read(self, features: Embed) -> Report:
        found, truth = embed_all(features, self.bench.chunks(self.asked))
        report: Report = {"directions": effective_rank(found)}
        if self.classes:
            bank, labels = self._labelled(features)
            probe = linear_probe(bank, labels, self.classes)
            report["neighbours"] = vote(bank, labels, found, truth, self.classes)
            report["probe"] = accuracy(probe(found).argmax(dim=1), truth)
        return report

    def _labelled(self, features: Embed) -> tuple[Tensor, Tensor]:
        return embed_all(features, self.bench.chunks(self.known))

    @cached_property
    def _by_pixels(self) -> float:
        """The vote by plain pixels, which no training changes."""
        return knn_accuracy(PIXELS, self.bench.chunks(self.known), self.bench.chunks(self.asked), self.classes).item()

    def _compared(self, report: Report) -> Report:
        bars = {
            "neighbours": report["neighbours"], "linear probe": report["probe"],
            "neighbours, untrained": self.before["neighbours"], "linear probe, untrained": self.before["probe"],
            "neighbours by pixels": report["pixels"],
        }  # fmt: skip
        right = torch.tensor([float(value) for value in bars.values()])
        return {"untrained": self.before["neighbours"], "right": right, "way": list(bars)}


_SPREAD = Curves(
    ("directions",), "In how many directions features vary, however little they do; 1 is a line."
)  # fmt: skip
_END = Bars(("right", "way"), "At the end: how often is the class known?")
WORTH = (
    Curves(("neighbours", "probe", "after the head", "pixels"), "How often a few labelled pictures know the class of a "
           "test picture: the nearest of them by the features, a linear probe of these, the nearest by what the head "
           "makes of them, and the nearest by plain pixels."),
    Curves(("deviation",), "How much what the loss compares varies from picture to picture: 1 is evenly spread over "
           "the sphere, 0 is collapse: one point for all."),
    _SPREAD,
    _END,
)  # fmt: skip
"""The exhibits of what `Readout` reports."""
HEADLESS = (
    Curves(("neighbours", "probe", "pixels"), "How often a few labelled pictures know the class of a test picture: the "
           "nearest of them by the features, a linear probe of these, and the nearest by plain pixels."),
    _SPREAD,
    _END,
)  # fmt: skip
"""Those of a method whose loss compares no features."""
