"""What RandAugment did and does: its decisions in words, and how far each operation takes the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from engine.augment.magnitudes import LARGEST, Scale, magnitudes
from engine.augment.operations import OPERATIONS
from engine.augment.randaugment import Decisions, RandAugment

WRITTEN = {
    "degrees": "{:+.0f}°", "px": "{:+.0f} px", "slope": "{:+.2f}", "change": "{:+.0%}", "bits": "to {:.0f} bits",
    "threshold": "from {:.0f} up",
}  # fmt: skip
TOLERATED = 0.2
"""Part of its largest effect by which an operation may fall back as M grows."""


def applied(augment: RandAugment, decisions: Decisions, size: tuple[int, int]) -> list[str]:
    """What is done to each of B images of `size` (height, width), in words: "rotate -9°, equalize"."""
    table = magnitudes(augment.scale, size)

    def words(operation: int, sign: int) -> str:
        name = OPERATIONS[operation]
        row = table[name]
        number = f" {WRITTEN[row.unit].format(row.at(augment.m, sign))}" if row.unit else ""
        return name.replace("_", " ") + number

    rows = zip(decisions.operation.T.tolist(), decisions.sign.T.tolist(), strict=True)
    return [", ".join(map(words, *row)) or "nothing" for row in rows]


def contact_sheet(image: Tensor, scale: Scale = "torchvision", sign: int = 1) -> tuple[Tensor, Tensor]:
    """One image (C, H, W) in [0, 1] through each of the 14 operations at each magnitude.

    Returns the pictures (31, 14, C, H, W), and the mean absolute change of their pixels (31, 14).
    """
    operation = torch.arange(len(OPERATIONS))[None]
    decisions = Decisions(operation, torch.full_like(operation, sign))
    copies = image.expand(len(OPERATIONS), *image.shape)
    pictures = torch.stack([RandAugment(1, m, scale).apply(copies, decisions) for m in range(LARGEST + 1)])
    return pictures, (pictures - image).abs().mean(dim=(2, 3, 4))


def verdict(change: Sequence[float]) -> str:
    """Whether an effect, given at M = 0, 1, ..., grows with M: "grows with M", or what it does instead."""
    if max(change) == 0:
        return "does nothing"
    tolerated = TOLERATED * max(change)
    if _fall(change) <= tolerated:
        return "grows with M"
    return "RUNS BACKWARDS" if _fall(change[::-1]) <= tolerated else "GOES UP AND DOWN"


def _fall(values: Sequence[float]) -> float:
    """By how much a value is at most below an earlier one."""
    return max(before - after for before, after in zip(accumulate(values, max), values, strict=True))
