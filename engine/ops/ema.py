"""A network that follows another: exponential moving average of weights."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

N = TypeVar("N", bound=nn.Module)


def follower(net: N) -> N:
    """A copy of `net` that no optimiser moves: it follows by `ema_update`."""
    return copy.deepcopy(net).requires_grad_(False)


@torch.no_grad()
def ema_update(target: nn.Module, source: nn.Module, momentum: float, copy_buffers: bool = True) -> None:
    """target <- momentum * target + (1 - momentum) * source, for every parameter, in place and without gradient.

    copy_buffers: buffers (running statistics, counters) are copied, never averaged. Say False when the target keeps
    its own, as MoCo's key encoder does.
    """
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum: expected 0 to 1, got {momentum}")
    followers, leaders = dict(target.named_parameters()), dict(source.named_parameters())
    if {name: p.shape for name, p in followers.items()} != {name: p.shape for name, p in leaders.items()}:
        raise ValueError("target and source must have the same parameters; make one with copy.deepcopy of the other")
    if followers:
        get_ema_multi_avg_fn(momentum)([*followers.values()], [leaders[name] for name in followers], None)
    if copy_buffers:
        leading = dict(source.named_buffers())
        for name, buffer in target.named_buffers():
            buffer.copy_(leading[name])
