"""Faults in rungs: from none to one worse than a picture usually comes with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Generator, Tensor

from engine.augment.corruptions import Corrupt, blurred, faint, magnified, noisy, powered, turned
from engine.data.base import VOID
from engine.ops.warp import rotation, warp, zoom

Rising = Literal["turned", "noisy", "blurred", "faint", "dark", "too near"]
RUNGS = 6
"""Rung 0 is the picture as it is."""


def faint_by(images: Tensor, generator: Generator, lost: float) -> Tensor:
    return faint(images, generator, share=1 - lost)


LADDERS: dict[Rising, tuple[str, Callable[[float], Corrupt]]] = {
    "turned": ("degrees", lambda share: partial(turned, degrees=90 * share)),
    "noisy": ("deviation of the noise", lambda share: partial(noisy, deviation=0.5 * share)),
    "blurred": ("of the side", lambda share: partial(blurred, share=0.12 * share)),
    "faint": ("contrast lost", lambda share: partial(faint_by, lost=0.95 * share)),
    "dark": ("gamma", lambda share: partial(powered, gamma=1 + 9 * share)),
    "too near": ("factor", lambda share: partial(magnified, factor=1 + share)),
}
"""Kind -> the unit of its strength, and the fault at a share of the worst, from 0 to 1."""


def rung(images: Tensor, kind: Rising, step: int, generator: Generator) -> Tensor:
    """The images on one rung of a ladder. ValueError when it has no such rung."""
    if not 0 <= step < RUNGS:
        raise ValueError(f"step: expected 0 to {RUNGS - 1}, got {step}")
    if step == 0:
        return images
    return LADDERS[kind][1](step / (RUNGS - 1))(images, generator)


def moved(labels: Tensor, kind: Rising, step: int) -> Tensor:
    """Labels (B, H, W) of pixels on the same rung: they move with the picture, VOID where nothing was; or (B,)."""
    share = step / (RUNGS - 1)
    ways = {"turned": (rotation, 90 * share), "too near": (zoom, 1 + share)}
    if labels.ndim == 1 or step == 0 or kind not in ways:
        return labels
    matrix, amount = ways[kind]
    seen = labels[:, None].float()
    drawn = warp(seen, matrix(seen.new_full((len(seen),), amount)), "nearest", fill=float(VOID))
    return drawn[:, 0].long()
