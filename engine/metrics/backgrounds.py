"""Is a class still known when the thing stands before something else?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal, get_args

import torch
from torch import Generator, Tensor

from engine.bench import Bench
from engine.data.base import Batch, Dataset
from engine.data.strangers import strangers
from engine.data.subset import spread
from engine.method import Report
from engine.metrics.neighbours import embed_all, shared_classes
from engine.metrics.readout import Embed, vote
from engine.ops.salient import Way, in_front_of, salient

Ground = Literal["as it is", "grey", "noise", "photographs"]
GROUNDS: tuple[Ground, ...] = get_args(Ground)
ASKED, PHOTOGRAPHS = 500, 100
"""Test pictures that are asked, always the same, and crops of photographs that stand behind them in turn."""


class OtherGrounds:
    """Test pictures before another ground, and how often known pictures, as they are, still know their class."""

    def __init__(self, bench: Bench, known: Dataset, test: Dataset, way: Way = "auto", edges: float = 0.5):
        """way, edges: how what stands out is found, see `engine.ops.salient`."""
        self.bench, self.known, self.asked = bench, known, spread(test, ASKED)
        self.way, self.edges = way, edges
        self.classes = shared_classes(known, test)
        self.photographs = strangers(bench.data("photos:crops", "test"), test.facts, PHOTOGRAPHS).to(bench.device)

    def before(self, images: Tensor, ground: Ground, first: int = 0) -> Tensor:
        """What stands out of images (B, C, H, W), before a ground, the same every time. first: place of the first of
        them in its set."""
        if ground == "as it is":
            return images
        if ground == "grey":
            other = torch.full_like(images, 0.5)
        elif ground == "noise":
            other = torch.rand(images.shape, generator=Generator().manual_seed(first)).to(images.device)
        else:
            turn = torch.arange(first, first + len(images), device=images.device) % len(self.photographs)
            other = self.photographs.index_select(0, turn)
        return in_front_of(images, salient(images, self.way, self.edges), other)

    @torch.no_grad()
    def shares(self, embed: Embed, grounds: Sequence[Ground]) -> dict[Ground, Tensor]:
        """Of each ground the share right, in [0, 1], of the vote of the nearest known pictures."""
        bank, labels = embed_all(embed, self.bench.chunks(self.known))
        return {ground: vote(bank, labels, *embed_all(embed, self._before(ground)), self.classes) for ground in grounds}

    def __call__(self, features: Embed) -> Report:
        """The shares "on grey", "on noise" and "on photographs", and their mean "elsewhere"; nothing where there are no
        classes."""
        if not self.classes:
            return {}
        right = self.shares(features, GROUNDS[1:])
        told: Report = {f"on {ground}": share for ground, share in right.items()}
        return told | {"elsewhere": torch.stack([*right.values()]).mean()}

    def _before(self, ground: Ground) -> Iterator[Batch]:
        first = 0
        for batch in self.bench.chunks(self.asked):
            yield replace(batch, images=self.before(batch.images, ground, first))
            first += len(batch)
