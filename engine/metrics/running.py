"""The answer and the doubts after the first 1, 2, ... T of several answers, all worked out at once."""

from __future__ import annotations

import torch
from torch import Tensor

Running = dict[str, Tensor]
"""mean (B, T, classes, ...): the mean answer so far; total, aleatoric, epistemic (B, T, ...): its doubts, in nats."""


def running(told: Tensor) -> Running:
    """p_t (B, T, classes, ...) -> for every t what `engine.metrics.doubts.doubts` says of the first t.

    A single answer agrees with itself: at t = 1 nothing is epistemic.
    """
    count = torch.arange(1, told.shape[1] + 1, device=told.device)
    below = count.view(1, -1, *[1] * (told.ndim - 2))
    mean = told.cumsum(dim=1) / below
    total = torch.special.entr(mean).sum(dim=2)
    aleatoric = torch.special.entr(told).sum(dim=2).cumsum(dim=1) / below.squeeze(2)
    return {"mean": mean, "total": total, "aleatoric": aleatoric, "epistemic": (total - aleatoric).clamp(min=0)}


def after(found: Running, count: int) -> Running:
    """What was found after the first `count` answers, or after all where there are fewer: mean (B, classes, ...)."""
    return {name: value[:, min(count, value.shape[1]) - 1].contiguous() for name, value in found.items()}


def settling(found: Running) -> Running:
    """Curves (T, 2) of the doubts over the number of answers, in the mean over pictures and pixels."""
    count = torch.arange(1.0, found["total"].shape[1] + 1)
    across = {name: found[name].transpose(0, 1).flatten(1).mean(dim=1).cpu() for name in DOUBTS}
    return {name: torch.stack([count, line], dim=1) for name, line in across.items()}


DOUBTS = ("total", "aleatoric", "epistemic")
