"""Anchor boxes on the cells of a feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float], device: torch.device | str = "cpu") -> Tensor:
    """Anchors of one cell, centred at the origin: (len(ratios) * len(sizes), 4), ratio by ratio, size by size.

    sizes: square root of the anchor's area, in pixels. ratios: height / width.
    """
    for name, values in (("sizes", sizes), ("ratios", ratios)):
        if not len(values) or min(values) <= 0:
            raise ValueError(f"{name}: expected one positive number or more, got {list(values)}")
    size = torch.tensor(sizes, dtype=torch.float32, device=device)
    stretch = torch.tensor(ratios, dtype=torch.float32, device=device).sqrt()[:, None]
    half = torch.stack((size / stretch, size * stretch), dim=-1).reshape(-1, 2) / 2
    return torch.cat((-half, half), dim=1)


def pyramid_anchors(
    grids: Sequence[tuple[int, int]],
    strides: Sequence[int],
    sizes: Sequence[Sequence[float]],
    ratios: Sequence[float],
    device: torch.device | str = "cpu",
) -> list[Tensor]:
    """One tensor (rows * columns * A, 4) a level, in the order row, column, anchor.

    grids: (rows, columns) of each feature map. Cell (i, j) of stride s is centred at x = (j + .5) s, y = (i + .5) s.
    sizes: the anchor sizes of each level; ratios: height / width, the same on all levels.
    """
    if not len(grids) == len(strides) == len(sizes):
        raise ValueError(
            "grids, strides and sizes must name the same levels, "
            f"got {len(grids)} grids, {len(strides)} strides, {len(sizes)} lists of sizes"
        )
    levels = []
    for (rows, columns), stride, level_sizes in zip(grids, strides, sizes, strict=True):
        y = (torch.arange(rows, device=device) + 0.5) * stride
        x = (torch.arange(columns, device=device) + 0.5) * stride
        y, x = torch.meshgrid(y, x, indexing="ij")
        centres = torch.stack((x, y, x, y), dim=-1).reshape(-1, 1, 4)
        levels.append((centres + cell_anchors(level_sizes, ratios, device)).reshape(-1, 4))
    return levels
