"""What a policy did and does: its decisions in words, and how far it and each operation take the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

import torch
from torch import Generator, Tensor

from engine.augment.images import unit
from engine.augment.magnitudes import LARGEST, Space, bins, magnitudes
from engine.augment.operations import NAMES, OPERATIONS
from engine.augment.policy import Decisions, Policy, carry_out
from engine.augment.randaugment import RandAugment

WRITTEN = {
    "degrees": "{:+.0f}°", "px": "{:+.0f} px", "slope": "{:+.2f}", "change": "{:+.0%}", "bits": "to {:.0f} bits",
    "threshold": "from {:.0f} up",
}  # fmt: skip
TOLERATED = 0.2
"""Part of its largest effect by which an operation may fall back as M grows."""


def applied(policy: Policy, decisions: Decisions, size: tuple[int, int]) -> list[str]:
    """What is done to each of B images of `size` (height, width), in words: "rotate -9°, equalize".

    Of a mixture: "40% as it is, 35% (rotate -9°, equalize), 25% (invert)".
    """
    table = magnitudes(policy.space, size)

    def step(operation: int, m: int, sign: int) -> str:
        name = NAMES[operation]
        row = table[name]
        # 0.0 is added so that nothing, negated, is not written "-0".
        number = f" {WRITTEN[row.unit].format(row.at(m, sign) + 0.0)}" if row.unit else ""
        return name.replace("_", " ") + number

    def words(steps: Sequence[tuple[int, int, int, bool]], shares: Sequence[float]) -> str:
        said = [step(*what) if taken else "" for *what, taken in steps]
        if not shares:
            return _listed(said)
        own, *others = shares
        depth = len(said) // len(others)
        chains = [_listed(said[i * depth : (i + 1) * depth]) for i in range(len(others))]
        return ", ".join([f"{own:.0%} as it is", *map("{:.0%} ({})".format, others, chains)])

    rows = (decisions.operation, decisions.magnitude, decisions.sign, decisions.applied)
    images = zip(*(row.T.tolist() for row in rows), strict=True)
    shares = [[]] * decisions.operation.shape[1] if decisions.share is None else decisions.share.T.tolist()
    return [words(list(zip(*image, strict=True)), share) for image, share in zip(images, shares, strict=True)]


def _listed(steps: Sequence[str]) -> str:
    return ", ".join(filter(None, steps)) or "nothing"


def contact_sheet(image: Tensor, scale: Space = "torchvision", sign: int = 1) -> tuple[Tensor, Tensor]:
    """One image (C, H, W) in [0, 1] through each of the 14 operations at each magnitude of a table.

    Returns the pictures (31 or 10, 14, C, H, W), and the mean absolute change of their pixels (31 or 10, 14).
    """
    operation = torch.arange(len(OPERATIONS))[None]
    copies, signs = image.expand(len(OPERATIONS), *image.shape), torch.full_like(operation, sign)
    pictures = torch.stack([carry_out(Decisions.at(m, operation, signs), copies, scale) for m in range(bins(scale))])
    return pictures, (pictures - image).abs().mean(dim=(2, 3, 4))


def strength(policy: Policy, images: Tensor, generator: Generator, draws: int = 8) -> Tensor:
    """Mean absolute change of a pixel of the images (B, C, H, W), in [0, 1], over so many draws; a number, ()."""
    return _changed(policy, images, [policy.draw(len(images), generator) for _ in range(_at_least_one(draws))])


def strength_curve(policy: RandAugment, images: Tensor, generator: Generator, draws: int = 8) -> Tensor:
    """(31,): the strength at M = 0, 1, ... 30 in place of the policy's own, with the same draws at each."""
    drawn = [policy.draw(len(images), generator) for _ in range(_at_least_one(draws))]

    def at(m: int) -> list[Decisions]:
        return [replace(each, magnitude=torch.full_like(each.magnitude, m)) for each in drawn]

    return torch.stack([_changed(policy, images, at(m)) for m in range(LARGEST + 1)])


def _changed(policy: Policy, images: Tensor, drawn: Sequence[Decisions]) -> Tensor:
    return torch.stack([(unit(policy.apply(images, each)) - unit(images)).abs().mean() for each in drawn]).mean()


def _at_least_one(draws: int) -> int:
    if draws < 1:
        raise ValueError(f"draws: expected 1 or more, got {draws}")
    return draws


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
