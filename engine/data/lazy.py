"""Images that stay on disk and are read when asked for, by a pool of threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from engine.data.base import Batch, Facts, join
from engine.data.decode import ImageError

THREADS = min(8, os.cpu_count() or 1)

Item = TypeVar("Item")
Result = TypeVar("Result")


def parallel(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """work(item) for each item, in order, by THREADS threads; the first error is raised."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, items))


class Lazy:
    """A dataset whose i-th image `row(i)` reads, as a Batch of one.

    row must not depend on anything but i; when it is picklable (a method of a plain object, a partial), so is the set.
    spec: the source by name, told to whoever meets a broken file.
    """

    def __init__(self, facts: Facts, count: int, row: Callable[[int], Batch], spec: str):
        self.facts, self.count, self.row, self.spec = facts, count, row, spec

    def __len__(self) -> int:
        return self.count

    def batch(self, index: Tensor) -> Batch:
        """The images at `index` (B,); ImageError names a file that cannot be read."""
        if not len(index):
            raise ValueError("index: no positions were given; ask for one image or more")
        try:
            rows = parallel(self.row, index.tolist())
        except ImageError as error:
            hint = f"{error.cause}. Run `visionarium data check {self.spec}` to find every such file"
            raise ImageError(error.name, hint) from error
        return join(rows)


def one(image: Tensor, index: int, label: int | None = None) -> Batch:
    """A Batch of one image (C, H, W) with its position and, where known, its label."""
    labels = None if label is None else torch.tensor([label])
    return Batch(images=image[None], index=torch.tensor([index]), labels=labels)
