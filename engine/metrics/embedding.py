"""Has a representation collapsed? Numbers that see it before the accuracy does. All take features (N, D), N >= 2."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def effective_rank(features: Tensor) -> Tensor:
    """exp H(lambda / sum lambda) over the eigenvalues of the covariance (Roy & Vetterli 2007), from 1 to D.

    The number of directions in use; 1 when all vary along one line, or not at all.
    """
    _check(features)
    covariance = torch.atleast_2d(torch.cov(features.float().T))
    spectrum = torch.linalg.eigvalsh(covariance.cpu().double()).clamp(min=0)
    share = spectrum / spectrum.sum().clamp(min=torch.finfo(spectrum.dtype).tiny)
    return torch.special.entr(share).sum().exp()


def feature_deviation(features: Tensor) -> Tensor:
    """Standard deviation of each coordinate of the unit rows, averaged over coordinates (Chen & He 2021, sec. 4.1):
    0 when collapsed, 1 / sqrt(D) when spread evenly."""
    _check(features)
    return F.normalize(features.float(), dim=1).std(dim=0, correction=0).mean()


def alignment(one: Tensor, two: Tensor) -> Tensor:
    """Mean squared distance of paired unit rows, 0 (identical) to 4 (Wang & Isola 2020, eq. for alpha = 2)."""
    _check(one)
    if one.shape != two.shape:
        raise ValueError(f"one and two: expected the same shape, got {tuple(one.shape)} and {tuple(two.shape)}")
    return (F.normalize(one.float(), dim=1) - F.normalize(two.float(), dim=1)).square().sum(dim=1).mean()


def uniformity(features: Tensor, sharpness: float = 2.0) -> Tensor:
    """log mean_{i<j} e^{-sharpness ||z_i - z_j||^2} of unit rows (Wang & Isola 2020, eq. for t = 2): 0 when collapsed,
    more negative the more evenly they cover the sphere. Compares all pairs: give a few thousand rows at most."""
    _check(features)
    squared = F.pdist(F.normalize(features.float(), dim=1)).square()
    return (-sharpness * squared).exp().mean().log()


def principal_components(features: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates (N, R) along the principal components, the largest first, and the share of the variance along each,
    (R,), summing to 1 (all 0 where nothing varies). R = min(N, D). The sign of a component means nothing."""
    _check(features)
    flat = features.float() - features.float().mean(dim=0)
    _, lengths, axes = torch.linalg.svd(flat, full_matrices=False)
    variance = lengths.square()
    return flat @ axes.T, variance / variance.sum().clamp(min=torch.finfo(variance.dtype).tiny)


def _check(features: Tensor) -> None:
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features: expected (N, D) with N >= 2, got shape {tuple(features.shape)}")
