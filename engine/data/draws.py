"""Which images a loop draws: a function of seed, loop and step alone, so that a stopped run can go on anywhere."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Draws(Sequence[Tensor]):
    """draws[step]: positions (batch,) in a set of `size` images: a window on an endless row of shuffled epochs.

    Nothing is drawn in advance: each item costs a shuffled epoch at most, and the last one is kept. Of `ranks` that
    share each batch, number `rank` gets its part (batch / ranks,); together, in rank order, they are the batch.
    """

    def __init__(self, size: int, batch: int, steps: int, seed: int, loop: int, rank: int = 0, ranks: int = 1):
        """ValueError when the set is smaller than a batch, or the batch is not the same for every rank."""
        if size < batch:
            raise ValueError(f"batch: {batch} is more than the {size} images of the set; lower it")
        share_out(batch, ranks)
        self._part = slice(rank * batch // ranks, (rank + 1) * batch // ranks)
        self.size, self.batch, self.steps, self.seed, self.loop = size, batch, steps, seed, loop
        self._kept: tuple[int, Tensor] = (-1, torch.empty(0))

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Tensor:  # type: ignore[override]
        if not 0 <= step < self.steps:
            raise IndexError(f"step {step} of {self.steps}")
        first = step * self.batch
        epochs = range(first // self.size, (first + self.batch - 1) // self.size + 1)
        row = torch.cat([self._epoch(epoch) for epoch in epochs])
        return row[first - epochs[0] * self.size :][self._part]

    def _epoch(self, epoch: int) -> Tensor:
        if self._kept[0] != epoch:
            seed = ((self.seed * 1_000_003 + self.loop) * 1_000_003 + epoch) & 0xFFFFFFFF
            self._kept = epoch, torch.randperm(self.size, generator=torch.Generator().manual_seed(seed))
        return self._kept[1]


def share_out(batch: int, ranks: int) -> int:
    """The images that each rank gets of a batch; ValueError when they are not the same for every rank."""
    if batch % ranks:
        raise ValueError(f"batch: {batch} cannot be shared evenly by {ranks} ranks; make it a multiple of {ranks}")
    return batch // ranks
