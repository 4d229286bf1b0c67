"""Episodes: little classification tasks drawn from a set with many classes, for few-shot learning."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data.base import Dataset, Facts, memory


@dataclass(frozen=True)
class Episode:
    """support (W, S, C, H, W'), query (W, Q, C, H, W') float in [0, 1]; classes (W,): labels in the set."""

    support: Tensor
    query: Tensor
    classes: Tensor


class Episodes:
    """Draws tasks of W classes with S known and Q asked pictures each; no picture is both known and asked."""

    def __init__(self, dataset: Dataset, ways: int, shots: int, queries: int):
        rows = memory(dataset).rows
        if rows.labels is None or not dataset.facts.classes:
            raise ValueError("episodes need a set with classes; this one has no labels")
        wanted = shots + queries
        counts = torch.bincount(rows.labels, minlength=len(dataset.facts.classes))
        enough = (counts >= wanted).nonzero()[:, 0]
        if len(enough) < ways:
            raise ValueError(
                f"ways: {ways} classes with {shots} known and {queries} asked pictures are wanted, "
                f"but only {len(enough)} classes have {wanted} pictures; lower ways, shots or queries"
            )
        self.facts: Facts = dataset.facts
        self.images, self.ways, self.shots, self.queries = rows.images, ways, shots, queries
        self.classes = enough
        # places[c, i]: where the i-th picture of class c is; the row is padded with -1 to the largest class.
        order, first = rows.labels.argsort(stable=True), counts.cumsum(0) - counts
        place = torch.arange(int(counts.max()), device=order.device)
        inside = place < counts[enough, None]
        self.places = torch.where(inside, order[(first[enough, None] + place).clamp(max=len(order) - 1)], -1)

    def draw(self, generator: torch.Generator) -> Episode:
        """One task; classes and pictures without replacement. On the device of the set and of `generator`."""
        device = self.images.device
        chosen = torch.rand(len(self.classes), generator=generator, device=device).argsort()[: self.ways]
        places = self.places[chosen]
        lots = torch.rand(places.shape, generator=generator, device=device).masked_fill(places < 0, 2.0)
        picked = places.gather(1, lots.argsort(1)[:, : self.shots + self.queries])
        images = self.images[picked].float() / 255
        return Episode(images[:, : self.shots], images[:, self.shots :], self.classes[chosen])
