"""Histograms of oriented gradients (Dalal & Triggs, CVPR 2005): where edges run in which direction. No learning."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

DIRECTIONS, CELLS, BLOCK = 9, 4, 2
"""Directions of an edge over half a turn; cells along a side of the picture; cells along a side of a block."""


def hog(images: Tensor) -> Tensor:
    """(N, 324) of images (N, C, H, W): for each of 3 x 3 overlapping blocks of 2 x 2 of the picture's 4 x 4 cells the
    mean strength of edges in 9 directions, the block's 36 numbers of length 1, or 0 where all is flat.

    An edge is the central difference of the grey, [-1, 0, 1] / 2, and is shared between the two nearest directions.
    """
    grey = F.pad(images.float().mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = (grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]) / 2
    down = (grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]) / 2
    strength = (across.square() + down.square()).sqrt()
    turn = torch.atan2(down, across).remainder(math.pi) * (DIRECTIONS / math.pi)  # 0 to 9
    names = torch.arange(DIRECTIONS, device=images.device).view(1, -1, 1, 1)
    away = (turn - names).abs()
    share = (1 - torch.minimum(away, DIRECTIONS - away)).clamp(min=0)
    cells = F.adaptive_avg_pool2d(share * strength, CELLS)
    blocks = F.unfold(cells, BLOCK)  # (N, 36, 9)
    return F.normalize(blocks, dim=1, eps=1e-6).flatten(1)
