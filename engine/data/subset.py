"""A part of a set: which images, and the set that they make."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.data.base import Batch, Dataset, Facts, Memory


def labels_in(batch: Batch) -> Tensor:
    """The labels (B,) of a batch; ValueError when its source has none."""
    if batch.labels is None:
        raise ValueError("data: this source has no labels; choose one that has, e.g. garments or a folder of classes")
    return batch.labels


def labels_of(dataset: Dataset, chunk: int = 256) -> Tensor:
    """The labels (N,) of a whole set, on the CPU; every image is read where the set is not in memory."""
    if isinstance(dataset, Memory):
        return labels_in(dataset.rows).cpu()
    return torch.cat([labels_in(dataset.batch(rows)).cpu() for rows in torch.arange(len(dataset)).split(chunk)])


def balanced(labels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Positions (count,) of images drawn at random, as many of each class as of any other, as far as there are.

    labels (N,) int64 on the CPU, -1 where unknown: those are never drawn. The positions are in ascending order.
    """
    known = (labels >= 0).nonzero().flatten()
    if not 0 < count <= len(known):
        raise ValueError(f"count: expected 1 to {len(known)}, the labelled images there are, got {count}")
    order = torch.randperm(len(known), generator=generator, device=generator.device).cpu()
    shuffled = known[order]
    place = F.one_hot(labels[shuffled]).cumsum(dim=0).gather(1, labels[shuffled, None]).flatten()
    return shuffled[place.argsort(stable=True)[:count]].sort().values


class Part:
    """The images of a set that stays on disk at some positions, renumbered from 0. A position may occur twice."""

    def __init__(self, dataset: Dataset, positions: Tensor):
        self.dataset, self.positions = dataset, positions

    @property
    def facts(self) -> Facts:
        return self.dataset.facts

    def __len__(self) -> int:
        return len(self.positions)

    def batch(self, index: Tensor) -> Batch:
        return replace(self.dataset.batch(self.positions[index]), index=index)


def part(dataset: Dataset, positions: Tensor) -> Dataset:
    """The set of the images at `positions` (M,) int64 on the CPU; in memory when the whole is."""
    return dataset.subset(positions) if isinstance(dataset, Memory) else Part(dataset, positions)


def spread(dataset: Dataset, count: int) -> Dataset:
    """`count` images at even distances over the set, the same every time; the whole set when it has no more."""
    count = min(count, len(dataset))
    return part(dataset, torch.arange(count) * len(dataset) // count)
