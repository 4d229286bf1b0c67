"""The directions in which features vary most, with a sign that does not depend on the machine."""

from __future__ import annotations

import torch
from torch import Tensor

SMALL = 512
"""Columns up to which the whole covariance is decomposed; beyond, the first axes alone are looked for."""
ROUNDS = 16
"""Rounds of that search, each with two products."""


def principal_axes(features: Tensor, count: int = 2) -> Tensor:
    """The `count` first principal axes of features (N, D), unit columns (D, count) in float32, the largest first.

    Each axis points to where its largest entry by magnitude is positive. Wide features: randomised subspace iteration
    (Halko, Martinsson, Tropp 2011, algorithm 4.4), from the same random start every time.
    """
    flat = (features - features.mean(dim=0, dtype=torch.float64).to(features.dtype)).float()
    width = flat.shape[1]
    if not 1 <= count <= width:
        raise ValueError(f"count: expected 1 to {width}, the width of the features, got {count}")
    axes = _all_axes(flat) if width <= SMALL else _first_axes(flat, count)
    axes = axes[:, :count]
    top = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    return axes * torch.where(top < 0, -1.0, 1.0)


def _all_axes(flat: Tensor) -> Tensor:
    covariance = (flat.T @ flat).cpu().double()
    return torch.linalg.eigh(covariance).eigenvectors.flip(1).float().to(flat.device)


def _first_axes(flat: Tensor, count: int) -> Tensor:
    width = min(count + 10, *flat.shape)
    start = torch.randn(flat.shape[1], width, generator=torch.Generator().manual_seed(0)).to(flat.device)
    axes = torch.linalg.qr(start).Q
    for _ in range(ROUNDS):
        axes = torch.linalg.qr(flat.T @ (flat @ axes)).Q
    return axes @ torch.linalg.svd(flat @ axes, full_matrices=False).Vh.T
