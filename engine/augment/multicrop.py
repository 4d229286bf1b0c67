"""Many crops of a picture: a few large ones, and small ones that cost little."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Generator, Tensor

from engine.augment.views import View, simclr


@dataclass(frozen=True)
class MultiCrop:
    """Views of one picture, large ones first (Caron et al., NeurIPS 2020, sec. 3.2).

    Called with images (B, C, H, W) and a generator it returns a list of crops (B, C, size, size), one a view.
    """

    large: tuple[View, ...]
    small: tuple[View, ...] = ()

    def __post_init__(self) -> None:
        if len(self.large) < 2:
            raise ValueError(f"large: expected 2 crops or more, to compare them, got {len(self.large)}")

    def __call__(self, images: Tensor, generator: Generator) -> list[Tensor]:
        return [view(images, generator) for view in (*self.large, *self.small)]


def simclr_crops(crop: float, small_crop: float, small: int, small_size: int, strength: float) -> MultiCrop:
    """Two large crops and `small` small ones, distorted as SimCLR has it, without blur (Caron et al. 2020, sec. 3.2).

    crop: least share of a picture that a large one keeps; small_crop: that of a small one, which keeps `crop` at most
    and is `small_size` pixels a side. strength: of the distortion of colour.
    """
    large = simclr(strength=strength, area=(crop, 1.0), blur=0.0)
    return MultiCrop((large,) * 2, (simclr(small_size, strength, (min(small_crop, crop), crop), blur=0.0),) * small)


def by_size(net: Callable[[Tensor], Tensor], crops: Sequence[Tensor]) -> list[Tensor]:
    """What `net` makes of each crop, in their order; crops of one size that follow each other go through together."""
    told: list[Tensor] = []
    for _, same in groupby(crops, key=lambda crop: crop.shape):
        together = list(same)
        told += net(torch.cat(together)).chunk(len(together))
    return told
