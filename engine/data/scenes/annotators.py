"""Five simulated annotators with habits, after Zhang et al., NeurIPS 2020 (arXiv:2007.15963), section 4."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.data.base import VOID

NAMES = ("good", "over", "under", "wrong", "blank")


@dataclass(frozen=True)
class Habits:
    """over, under: by how many pixels annotators draw too much and too little. fractures, width, thicken: how many
    straight cuts, how wide, through an object that is drawn too large by so many pixels. The defaults suit 64 pixels;
    radii must stay small against the objects."""

    over: int = 3
    under: int = 2
    fractures: int = 4
    width: float = 2.5
    thicken: int = 2

    def __post_init__(self) -> None:
        for name in ("over", "under", "fractures", "thicken"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: got {getattr(self, name)}; use 0 or more")


SMALL = Habits(over=2, under=1, fractures=2, width=2.0, thicken=1)
"""Habits that suit 32 pixels."""


def dilate(labels: Tensor, radius: int) -> Tensor:
    """The largest label within a square of side 2 radius + 1: (B, H, W) -> the same."""
    return F.max_pool2d(labels[:, None].float(), 2 * radius + 1, 1, radius)[:, 0].to(labels.dtype)


def erode(labels: Tensor, radius: int) -> Tensor:
    """The smallest label within a square of side 2 radius + 1: (B, H, W) -> the same."""
    return -dilate(-labels, radius)


def annotators(semantic: Tensor, draws: Tensor | torch.Generator, things: int, habits: Habits = Habits()) -> Tensor:
    """(B, 5, H, W) int64, what each of NAMES draws of the truth `semantic` (B, H, W): 1..things are drawn, other
    labels (background, ground) are left as they are, VOID stays void.

    good: the truth. over: other pixels near a thing take its label, the largest where several are near. under: things
    lose their rim to the background. wrong: with one thing, it is thickened and then fractured; with several, each
    takes the next one's label. blank: background everywhere.
    draws: uniform numbers (B, fractures, 2), or a generator of them.
    """
    if semantic.ndim != 3 or semantic.dtype != torch.int64:
        raise TypeError(f"semantic: got {semantic.dtype} {tuple(semantic.shape)}; use int64 labels (B, H, W)")
    if things < 1:
        raise ValueError(f"things: got {things}; use 1 or more, as many as there are thing labels")
    if isinstance(draws, torch.Generator):
        draws = torch.rand(len(semantic), habits.fractures, 2, generator=draws)
    wanted = (len(semantic), habits.fractures, 2)
    if draws.shape != wanted:
        raise ValueError(f"draws: got {tuple(draws.shape)}; use (B, fractures, 2) = {wanted}")
    thing = torch.where((semantic >= 1) & (semantic <= things), semantic, 0)
    void = semantic == VOID

    def grown(radius: int) -> Tensor:
        near = dilate(thing, radius)
        return torch.where((thing == 0) & (near > 0), near, semantic)

    inner = (erode(thing, habits.under) == thing) & (dilate(thing, habits.under) == thing)
    under = torch.where((thing > 0) & ~inner, 0, semantic)
    if things == 1:
        wrong = torch.where(_fractures(thing > 0, draws, habits.width), 0, grown(habits.thicken))
    else:
        wrong = torch.where(thing > 0, thing % things + 1, semantic)
    drawn = torch.stack((semantic, grown(habits.over), under, wrong, torch.zeros_like(semantic)), 1)
    return torch.where(void[:, None], VOID, drawn)


def _fractures(thing: Tensor, draws: Tensor, width: float) -> Tensor:
    """(B, H, W) bool: strips through random pixels of `thing` (B, H, W) bool at random angles; draws (B, F, 2)."""
    _, height, columns = thing.shape
    draws = draws.to(thing.device)
    filled = thing.flatten(1).cumsum(1)
    # The k-th thing pixel, k uniform: the first place where the running count exceeds it.
    target = (draws[..., 0] * filled[:, -1:]).floor().long()
    place = (filled[:, None] <= target[..., None]).sum(-1)[..., None, None]
    angle = (draws[..., 1] * torch.pi)[..., None, None]
    x = torch.arange(columns, device=thing.device) - place % columns
    y = torch.arange(height, device=thing.device)[:, None] - place // columns
    near = (x * angle.sin() - y * angle.cos()).abs() <= width / 2
    return near.any(1) & (filled[:, -1] > 0)[:, None, None]


def confusion(drawn: Tensor, truth: Tensor, classes: int) -> Tensor:
    """A[i, j] = #(drawn = i and truth = j) / #(truth = j): (C, C) float64 with columns that sum to 1, NaN where label
    j does not occur. VOID is not counted."""
    known = (truth != VOID) & (drawn != VOID)
    pairs = drawn[known] * classes + truth[known]
    counts = torch.bincount(pairs, minlength=classes * classes).view(classes, classes).double()
    return counts / counts.sum(0)
