"""Which object each anchor is responsible for."""

from __future__ import annotations

import torch
from torch import Tensor

BACKGROUND = -1
IGNORED = -2


def match(overlaps: Tensor, high: float, low: float, rescue: bool = True) -> Tensor:
    """For each of A anchors the index of its object, or BACKGROUND (-1), or IGNORED (-2).

    overlaps: (G, A) IoU of G >= 0 objects with the anchors. An anchor takes the object it overlaps most when that IoU
    is at least `high`; below `low` it is background; between the two it takes no part in the loss. With `rescue`, the
    anchors that tie for an object's own best IoU become positive too, however small it is, but each keeps the object
    *it* overlaps most. An object that touches no anchor rescues none.

    With high = .5, low = .4::

                   anchor  0    1    2    3    4
        object 0          .6   .45  .1   .0   .3
        object 1          .2   .30  .0   .0   .35      its best is anchor 4

        rescue=False       0   -2   -1   -1   -1
        rescue=True        0   -2   -1   -1    1

    If anchor 4 overlapped object 0 by .38, it would still be rescued by object 1, but would answer 0.
    """
    if overlaps.ndim != 2:
        raise ValueError(f"overlaps: expected (objects, anchors), got shape {tuple(overlaps.shape)}")
    if not 0 <= low <= high <= 1:
        raise ValueError(f"low and high: expected 0 <= low <= high <= 1, got low={low}, high={high}")
    objects, anchors = overlaps.shape
    if objects == 0:
        return torch.full((anchors,), BACKGROUND, device=overlaps.device)
    best, index = overlaps.max(dim=0)
    positive = best >= high
    if rescue and anchors:
        own_best = overlaps.amax(dim=1, keepdim=True)
        positive |= ((overlaps == own_best) & (own_best > 0)).any(dim=0)
    rest = torch.full_like(index, IGNORED).masked_fill(best < low, BACKGROUND)
    return index.where(positive, rest)
