"""Telling a number with its uncertainty: the Gaussian score, and several such answers as one."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def gaussian_nll(mean: Tensor, variance: Tensor, target: Tensor) -> Tensor:
    """-log N(target; mean, variance), element by element, in nats; variance > 0 (Lakshminarayanan et al. 2017, eq. 1).

    The paper leaves out the constant log(2 pi) / 2, which is here.
    """
    return 0.5 * (torch.log(2 * math.pi * variance) + (target - mean).square() / variance)


def mixture(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance (...) of the equal mixture of M Gaussians, each (M, ...) (ibid., sec. 2.4).

    The variance is the mean of theirs (what the data leave open) plus that of their means (what they disagree about).
    """
    return mean.mean(dim=0), variance.mean(dim=0) + mean.var(dim=0, correction=0)
