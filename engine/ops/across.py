"""Across ranks: the processes that train one model together, each on its part of a joint batch.

All are identities, without a copy or a cost, where no process group is set up. Every rank must call them, and in the
same order: a rank that calls alone waits for ever.

How gradients come out right. Let the joint loss be the mean of the ranks' shares, L = 1/W sum_r L_r, where L_r is the
mean over the rows of rank r, each of which may depend on the rows of all. Each rank goes backward from its own share.
`gather` hands what arrives at rank r's rows x_r, from all shares, back to rank r as the sum over s of dL_s/dx_r; below
x_r that becomes the part of sum_s dL_s/dw that went through x_r. The mean of these parts over ranks (`mean_`, in
`bench.step`) is 1/W sum_r sum_s (dL_s/dw through x_r) = dL/dw. So the factor in `gather` is 1: W neither multiplies nor
divides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")


def world() -> int:
    """How many ranks there are; 1 where no process group is set up."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this one, from 0; rank 0 keeps the books."""
    return dist.get_rank() if world() > 1 else 0


class _Gather(torch.autograd.Function):
    """Rows of all ranks, in rank order. Backward: the sum over ranks of the gradients at this rank's rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        rows = rows.contiguous()
        parts = [torch.empty_like(rows) for _ in range(world())]
        dist.all_gather(parts, rows)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        slope = slope.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(slope)
        return slope.chunk(world())[rank()]


def gather(rows: Tensor) -> Tensor:
    """(B, ...) of each rank -> (W * B, ...), the same everywhere; B must be equal on all ranks. Differentiable."""
    return _Gather.apply(rows) if world() > 1 else rows


def mean(value: Tensor) -> Tensor:
    """The mean over ranks, without gradient."""
    if world() == 1:
        return value
    value = value.detach().clone()
    dist.all_reduce(value)
    return value / world()


@torch.no_grad()
def mean_(tensors: Iterable[Tensor]) -> None:
    """Replace each by its mean over ranks: one message for all of a type, since many small ones are slow."""
    if world() == 1:
        return
    kinds: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault(tensor.dtype, []).append(tensor)
    for same in kinds.values():
        flat = torch.cat([tensor.flatten() for tensor in same])
        dist.all_reduce(flat)
        flat /= world()
        for tensor, part in zip(same, flat.split([tensor.numel() for tensor in same]), strict=True):
            tensor.copy_(part.view_as(tensor))


@torch.no_grad()
def copy_(tensors: Iterable[Tensor]) -> None:
    """Replace each by what rank 0 has."""
    if world() == 1:
        return
    for tensor in tensors:
        given = tensor.contiguous()
        dist.broadcast(given, 0)
        tensor.copy_(given)


def tell(*numbers: int) -> tuple[int, ...]:
    """The small numbers that rank 0 gives, on all ranks. It travels by the CPU, so that no GPU is waited for."""
    if world() == 1:
        return numbers
    told = torch.tensor(numbers, dtype=torch.int64)
    dist.broadcast(told, 0)
    return tuple(told.tolist())


def agree(work: Callable[[], T]) -> T:
    """What `work` gives on rank 0, which alone does it."""
    if world() == 1:
        return work()
    box = [work() if rank() == 0 else None]
    dist.broadcast_object_list(box, 0, device=torch.device("cpu"))
    return box[0]  # type: ignore[return-value]


def collect(value: T) -> list[T]:
    """What each rank gives (a tree of tensors on the CPU, numbers and strings), in rank order."""
    if world() == 1:
        return [value]
    found: list[Any] = [None] * world()
    dist.all_gather_object(found, value)
    return found
