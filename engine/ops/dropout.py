"""Dropout that stays on: several passes of a trained network, each with masks of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

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


@contextmanager
def shared(net: nn.Module) -> Iterator[Callable[[], None]]:
    """Within, what `net` computes before its first dropout is computed in the first pass and remembered for the others,
    which get the same images. Yields what is to be called before each pass.

    Remembered are the outputs of the largest modules without dropout, in the order of their calls.
    """
    told: list[Tensor | None] = []
    calls, drawn = 0, False

    def begin() -> None:
        nonlocal calls
        calls = 0

    def draw(module: Dropout, _: Any) -> None:
        nonlocal drawn
        drawn = drawn or module.p > 0

    def remembering(forward: Callable[..., Any]) -> Callable[..., Any]:
        def once(*given: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            known = told[calls - 1] if calls <= len(told) else None
            if known is not None:
                return known.clone()  # for what follows may work in place
            output = forward(*given, **more)
            if not drawn:
                told.append(output.clone() if isinstance(output, Tensor) else None)
            return output

        return once

    hooks = [module.register_forward_pre_hook(draw) for module in dropouts(net)]
    fixed = list(_without_dropout(net))
    try:
        for module in fixed:
            module.forward = remembering(module.forward)
        yield begin
    finally:
        for module in fixed:
            del module.forward
        for hook in hooks:
            hook.remove()


def _without_dropout(net: nn.Module) -> Iterator[nn.Module]:
    """The largest modules in `net` that hold no dropout."""
    if not any(isinstance(module, Dropout) for module in net.modules()):
        yield net
    else:
        for part in net.children():
            yield from _without_dropout(part)


@torch.no_grad()
def samples(
    net: nn.Module, images: Tensor, passes: int, generator: torch.Generator, probability: float | None = None
) -> Tensor:
    """The outputs of `passes` passes with dropout on, (B, passes, ...) float32, each image under a mask of its own.

    What comes before the first dropout runs once (see `shared`). Dropout draws from torch's own generator: it is seeded
    from `generator` for the passes and put back after (on the CPU and CUDA), so that training goes on as if nobody had
    looked.
    """
    if passes < 2:
        raise ValueError(f"passes: expected 2 or more, for there is no spread in {passes}")
    seed = int(torch.randint(2**31, (), generator=host_generator(generator)))
    devices = [images.device] if images.device.type == "cuda" else []
    told = []
    with only_dropout(net, probability), torch.random.fork_rng(devices), shared(net) as begin:
        torch.manual_seed(seed)
        for _ in range(passes):
            begin()
            told.append(net(images).float())
    return torch.stack(told, dim=1)
