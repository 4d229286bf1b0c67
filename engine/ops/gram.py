"""Gram matrices: which features of a layer fire together, whatever the place."""

from __future__ import annotations

from torch import Tensor


def gram(features: Tensor) -> Tensor:
    """G = F F^T / M of each image (Gatys et al. 2016, eq. 3, over the number of places M, so that sizes compare).

    features: (B, N, H, W), read as F (N, M) with M = H W. Returns (B, N, N), symmetric and positive semi-definite.
    With it, the paper's E_l = ||F F^T - A||^2 / (4 N^2 M^2) is ||gram(F) - gram(style)||^2 / (4 N^2).
    """
    if features.ndim != 4:
        raise ValueError(f"features: expected (B, N, H, W), got shape {tuple(features.shape)}")
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]
