"""What a bank is made of, and how a picture with an outline becomes a member of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

RADIUS = 0.92
"""Silhouettes stay within this radius of the canonical square's centre, so that no turn takes them out of it."""


@dataclass(frozen=True)
class Members:
    """classes: names. counts: members of each. alpha (T, S, S), colours (T, 3, S, S): class after class, in [0, 1].

    Without colours, photographs give the texture. tinted: colours are multiplied by the object's tint. shade: how much
    of the light a turned-away surface loses, 0 for pictures that bring their own light.
    """

    classes: tuple[str, ...]
    counts: tuple[int, ...]
    alpha: Tensor
    colours: Tensor | None = None
    tinted: bool = False
    shade: float = 0.0


def bleed(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours (h, w, c) with each transparent pixel given its nearest opaque pixel's colour, so that interpolation
    across the outline meets no foreign colour. alpha (h, w) in [0, 1], somewhere opaque."""
    transparent = (alpha < 0.5).astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(
        transparent, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    palette = np.zeros((nearest.max() + 1, colours.shape[2]), colours.dtype)
    palette[nearest[transparent == 0]] = colours[transparent == 0]
    return palette[nearest]


def canonical(pictures: Tensor, centre: Tensor, half: Tensor, texels: int) -> tuple[Tensor, Tensor]:
    """Resample pictures (T, 1 + C, h, w), opacity first, so that `centre` (T, 2) lands on the origin and `half` (T,)
    pixels on length 1; 2 x 2 samples per texel, averaged.

    Returns alpha (T, texels, texels), zero outside the picture, and colours (T, C, texels, texels), which go on there.
    """
    size = torch.tensor([pictures.shape[-1], pictures.shape[-2]])
    maps = torch.cat((torch.diag_embed(2 * half[:, None] / size), (2 * centre / size - 1)[..., None]), -1)
    grid = F.affine_grid(maps, [len(pictures), 1, 2 * texels, 2 * texels], align_corners=False)
    alpha = F.grid_sample(pictures[:, :1], grid, align_corners=False)
    colours = F.grid_sample(pictures[:, 1:], grid, padding_mode="border", align_corners=False)
    return F.avg_pool2d(alpha, 2)[:, 0], F.avg_pool2d(colours, 2)
