"""Banks of objects: silhouettes on the canonical square [-1, 1]^2, their relief, and their colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from engine.data.scenes import emoji, shapes, sprites
from engine.data.scenes.members import Members

BankName = Literal["emoji", "shapes", "sprites"]


@dataclass(frozen=True)
class Bank:
    """T silhouettes in K classes; the members of a class lie side by side.

    classes: K names. first, members (K,): where each class begins, how many members it has.
    alpha, height (T, S, S) in [0, 1]. colours (T, 3, S, S) in [0, 1], or None where photographs give the texture.
    tinted, shade: see Members.
    """

    classes: tuple[str, ...]
    first: Tensor
    members: Tensor
    alpha: Tensor
    height: Tensor
    colours: Tensor | None
    tinted: bool
    shade: float

    def pick(self, kind: Tensor, member: Tensor) -> Tensor:
        """Class in 0..K-1 and uniform number in [0, 1) -> silhouette in 0..T-1."""
        return self.first[kind] + (member * self.members[kind]).long()

    def to(self, device: torch.device) -> Bank:
        """The bank with its pictures on `device`."""
        colours = None if self.colours is None else self.colours.to(device)
        return replace(self, alpha=self.alpha.to(device), height=self.height.to(device), colours=colours)

    def limited(self, classes: int) -> Bank:
        """The bank with its first `classes` classes; with 1, everything is an "object"."""
        if classes == 1:
            return replace(self, classes=("object",), first=self.first[:1], members=self.members.sum(0, keepdim=True))
        if not 1 <= classes <= len(self.classes):
            raise ValueError(f"classes: this bank has {len(self.classes)}, got {classes}; use 1..{len(self.classes)}")
        return replace(self, classes=self.classes[:classes], first=self.first[:classes], members=self.members[:classes])


def relief(alpha: Tensor) -> Tensor:
    """h = 1 - (1 - d / d_max)^2 of the Euclidean distance d to the outline, smoothed 3 x 3: (T, S, S) -> the same."""
    heights = []
    for silhouette in alpha:
        inside = np.pad((silhouette >= 0.5).numpy().astype(np.uint8), 1)
        distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
        heights.append(torch.from_numpy(1 - (1 - distance / max(distance.max(), 1)) ** 2))
    return F.avg_pool2d(torch.stack(heights)[:, None], 3, 1, 1)[:, 0]


@lru_cache(maxsize=8)
def load(name: BankName, texels: int, test: bool) -> Bank:
    """The whole bank at `texels` x `texels`; `test` asks for members kept for the test split, where there are such."""
    makers: dict[str, Callable[[int, bool], Members]] = {
        "emoji": emoji.members,
        "shapes": shapes.members,
        "sprites": sprites.members,
    }
    if name not in makers:
        raise ValueError(f"bank: there is no {name!r}; use one of {', '.join(makers)}")
    made = makers[name](texels, test)
    counts = torch.tensor(made.counts)
    return Bank(
        classes=made.classes,
        first=counts.cumsum(0) - counts,
        members=counts,
        alpha=made.alpha,
        height=relief(made.alpha),
        colours=made.colours,
        tinted=made.tinted,
        shade=made.shade,
    )
