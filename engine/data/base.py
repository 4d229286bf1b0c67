"""What every source of data answers: `Facts`, `Batch`, `Dataset`; and `Memory`, a set kept in one piece.

Images leave a source as uint8 (B, C, H, W) and reach a method as float in [0, 1]; `Batch.to` is the only place that
converts. Boxes are [x1, y1, x2, y2] in continuous pixels, half open: the pixel in row r, column c covers
[c, c + 1) x [r, r + 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

VOID = 255
"""The semantic label that losses and metrics ignore."""


@dataclass(frozen=True)
class Facts:
    """What a model must know of its data; stored in every checkpoint so that it opens without the data.

    channels: 1 or 3. size: height = width in pixels. classes: names in label order, empty when there are no labels.
    """

    channels: int
    size: int
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Batch:
    """B images and all that is known of them; what a source does not know is None.

    images      (B, C, H, W) uint8 from a source, float in [0, 1] after `to`
    index       (B,) int64, positions in the dataset
    labels      (B,) int64, -1 where unknown
    boxes       B tensors (G, 4) float, modal boxes; G = 0 is legal
    box_labels  B tensors (G,) int64 in 0..K-1
    box_ignore  B tensors (G,) bool: neither rewarded nor punished
    semantic    (B, H, W) int64, 0 background, 1..K things, VOID void
    instances   (B, H, W) int64, 0 background, n the n-th object; larger is nearer
    amodal      B tensors (G, H, W) bool, the whole object, hidden parts too
    depth       (B, H, W) float
    flow        (B, 2, H, W) float, forward flow in pixels, channel 0 = x
    """

    images: Tensor
    index: Tensor
    labels: Tensor | None = None
    boxes: Sequence[Tensor] | None = None
    box_labels: Sequence[Tensor] | None = None
    box_ignore: Sequence[Tensor] | None = None
    semantic: Tensor | None = None
    instances: Tensor | None = None
    amodal: Sequence[Tensor] | None = None
    depth: Tensor | None = None
    flow: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> Batch:
        """The batch on `device`, images as float in [0, 1]."""
        moved: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                moved[field.name] = value.to(device, non_blocking=True)
            elif value is not None:
                moved[field.name] = [item.to(device, non_blocking=True) for item in value]
        batch = replace(self, **moved)
        if batch.images.dtype == torch.uint8:
            batch = replace(batch, images=batch.images.float().div_(255))
        return batch


@runtime_checkable
class Dataset(Protocol):
    """A split of a source. `batch` takes CPU int64 positions (B,) in any order and is a pure function of them."""

    @property
    def facts(self) -> Facts: ...

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> Batch: ...


class Memory:
    """A dataset kept in one piece, on any device: one `Batch` whose rows are indexed.

    rows: a Batch of all N images (uint8) with whatever annotations it has.
    """

    def __init__(self, rows: Batch, facts: Facts):
        self.rows, self.facts = rows, facts

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, index: Tensor) -> Batch:
        picked: dict[str, Any] = {}
        on_device = index.to(self.rows.images.device)
        for field in fields(self.rows):
            value = getattr(self.rows, field.name)
            if isinstance(value, Tensor):
                picked[field.name] = value[on_device]
            elif value is not None:
                picked[field.name] = [value[i] for i in index.tolist()]
        return Batch(**picked)

    def subset(self, index: Tensor) -> Memory:
        """The same set with only these rows, renumbered from 0."""
        rows = self.batch(index)
        return Memory(replace(rows, index=torch.arange(len(rows), device=rows.images.device)), self.facts)

    def place(self, device: torch.device) -> Memory:
        """The same set with its dense tensors on `device` (images stay uint8)."""
        moved: dict[str, Any] = {
            field.name: value.to(device)
            for field in fields(self.rows)
            if isinstance(value := getattr(self.rows, field.name), Tensor)
        }
        return Memory(replace(self.rows, **moved), self.facts)


def join(batches: Sequence[Batch]) -> Batch:
    """One batch of all rows, in order. Fields must be present in all or in none."""
    joined: dict[str, Any] = {}
    for field in fields(Batch):
        values = [getattr(batch, field.name) for batch in batches]
        if isinstance(values[0], Tensor):
            joined[field.name] = torch.cat(values)
        elif values[0] is not None:
            joined[field.name] = [item for value in values for item in value]
    return Batch(**joined)


def memory(dataset: Dataset, chunk: int = 256) -> Memory:
    """The whole of `dataset` read once into memory (it is returned as it is when it already is there)."""
    if isinstance(dataset, Memory):
        return dataset
    if not len(dataset):
        raise ValueError("the dataset has no images; choose another split or source")
    return Memory(join([dataset.batch(rows) for rows in torch.arange(len(dataset)).split(chunk)]), dataset.facts)
