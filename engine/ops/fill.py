"""Filling holes without having learned anything: the surface that is as smooth as can be."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def smooth_fill(images: Tensor, known: Tensor, sweeps: int = 20) -> Tensor:
    """Images (B, C, H, W) with their unknown pixels filled by a nearly harmonic surface; known ones stay.

    known: (B, 1, H, W), 1 where a pixel may be seen, 0 where it is filled; at least one of each image must be 1. In the
    limit of many sweeps every filled pixel is the mean of its four neighbours (Laplace's equation, mirrored at the
    border). Solved from coarse to fine, each scale starting from the one below, so that few sweeps do.
    """
    if known.shape != images[:, :1].shape:
        raise ValueError(f"known: expected shape {tuple(images[:, :1].shape)}, got {tuple(known.shape)}")
    size = (images.shape[2], images.shape[3])
    seen = known.bool()
    if max(size) > 1:
        share = F.avg_pool2d(known, 2, ceil_mode=True)
        coarse = F.avg_pool2d(images * known, 2, ceil_mode=True) / share.clamp(min=1e-6)
        start = F.interpolate(smooth_fill(coarse, (share > 0).to(known), sweeps), size, mode="bilinear")
    else:
        start = images
    filled = torch.where(seen, images, start)
    for _ in range(sweeps if max(size) > 1 else 0):
        padded = F.pad(filled, (1, 1, 1, 1), "replicate")
        around = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
        filled = torch.where(seen, images, around / 4)
    return filled
