"""Dropout that stays on: several passes of a trained network, each with masks of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from engine.ops.choose import host_generator

Dropout = nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d | nn.AlphaDropout | nn.FeatureAlphaDropout


def dropouts(net: nn.Module) -> list[Dropout]:
    """The dropout modules of `net`; ValueError when it has none, for all its passes would agree by construction."""
    found = [module for module in net.modules() if isinstance(module, Dropout)]
    if not found:
        raise ValueError(f"net: {type(net).__name__} has no dropout, so its passes cannot differ; build it with some")
    return found


@contextmanager
def only_dropout(net: nn.Module, probability: float | None = None) -> Iterator[None]:
    """Within, the dropouts of `net` are on and all else is in eval mode, batch norm above all; then all is as before.

    probability: that with which to drop, in [0, 1], in place of their own for the modules that drop at all.
    """
    if probability is not None and not 0 <= probability <= 1:
        raise ValueError(f"probability: expected 0 to 1, got {probability}")
    found = dropouts(net)
    modes = {module: module.training for module in net.modules()}
    own = [module.p for module in found]
    net.eval()
    try:
        for module in found:
            module.train()
            module.p = probability if probability is not None and module.p else module.p
        yield
    finally:
        for part, training in modes.items():
            part.training = training
        for module, p in zip(found, own, strict=True):
            module.p = p


def split(net: nn.Module) -> tuple[nn.Module, nn.Module]:
    """`net` as what comes before its first dropout, the same in every pass, and the rest.

    Only an `nn.Sequential` tells where its dropout begins; any other network is all "rest".
    """
    if not isinstance(net, nn.Sequential):
        return nn.Identity(), net
    parts = list(net)
    drops = [any(isinstance(module, Dropout) for module in part.modules()) for part in parts]
    first = drops.index(True) if any(drops) else len(parts)
    return nn.Sequential(*parts[:first]), nn.Sequential(*parts[first:])


@torch.no_grad()
def samples(
    net: nn.Module, images: Tensor, passes: int, generator: torch.Generator, probability: float | None = None
) -> Tensor:
    """The outputs of `passes` passes with dropout on, (B, passes, ...) float32, each image under a mask of its own.

    What comes before the first dropout runs once (see `split`). Dropout draws from torch's own generator: it is seeded
    from `generator` for the passes and put back after (on the CPU and CUDA), so that training goes on as if nobody had
    looked.
    """
    if passes < 2:
        raise ValueError(f"passes: expected 2 or more, for there is no spread in {passes}")
    seed = int(torch.randint(2**31, (), generator=host_generator(generator)))
    devices = [images.device] if images.device.type == "cuda" else []
    with only_dropout(net, probability), torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        fixed, loose = split(net)
        features = fixed(images)
        return torch.stack([loose(features).float() for _ in range(passes)], dim=1)
