"""What a bench sees to when several ranks train one model together. For how they talk, see `engine.ops.across`."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Generator, Tensor, nn

from engine.ops import across
from engine.record import is_number

if TYPE_CHECKING:
    from engine.method import Report

T = TypeVar("T")


def own_chance(seed: int, loop: int, step: int, generator: Generator) -> None:
    """Give each rank but the first, which draws as if it were alone, a chance of its own from here on."""
    if across.rank():
        for part in (loop, step, across.rank()):
            seed = (seed * 1_000_003 + part) & 0x7FFFFFFF
        torch.manual_seed(seed)
        generator.manual_seed(seed)


def joint_statistics(model: nn.Module) -> None:
    """Let the batch norms in `model` take their statistics from the batches of all ranks, in place. On GPUs only."""
    from timm.layers import convert_sync_batchnorm  # torch's loses the activation that timm's norms hold

    for name, child in model.named_children():
        setattr(model, name, convert_sync_batchnorm(child))


def compare_weights(weights: Iterable[Tensor]) -> None:
    """RuntimeError when the ranks' weights differ: a method that does not step by `bench.step` trains each alone."""
    sums = across.collect([float(weight.detach().double().sum()) for weight in weights])
    mine, others = torch.tensor(sums[0]), torch.tensor(sums)
    if not torch.allclose(mine.expand_as(others), others, 1e-4, 1e-5, equal_nan=True):
        raise RuntimeError("the ranks' weights differ, since this method takes steps of its own; train it with 1 rank")


def as_first(result: T) -> T:
    """What rank 0 found (a tree of tensors), with its GPU's tensors on this rank's GPU."""
    if across.world() == 1:
        return result
    file = io.BytesIO()
    if across.rank() == 0:
        torch.save(result, file)
    told = across.agree(file.getvalue)
    if across.rank() == 0:
        return result
    return torch.load(io.BytesIO(told), map_location={"cuda:0": "cuda"}, weights_only=False)  # from one of us


def mean_numbers(report: Report) -> Report:
    """The report with the means over ranks of its numbers; all else in it is this rank's."""
    if across.world() == 1:
        return report
    names = [name for name, value in report.items() if is_number(value)]
    device = next((report[name].device for name in names if isinstance(report[name], Tensor)), torch.device("cpu"))
    numbers = [torch.as_tensor(report[name], dtype=torch.float64, device=device) for name in names]
    return report | dict(zip(names, across.mean(torch.stack(numbers)), strict=True)) if names else report
