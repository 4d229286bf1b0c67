"""Labels from similarity: the soft nearest neighbour, sharpened guesses, the entropy of the mean guess."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.ops.across import gather

FLOOR = 1e-4
"""Sharpened probabilities below it are 0, as in the released code."""


def soft_neighbour(z: Tensor, supports: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Probabilities (B, C): the labels of the supports, weighted by the softmax of their cosine with z over
    `temperature` (Assran et al. 2021, eq. 1).

    z (B, D), supports (S, D) of any length; labels (S, C), rows that sum to 1.
    """
    if z.ndim != 2 or supports.ndim != 2 or z.shape[1] != supports.shape[1] or len(labels) != len(supports):
        shapes = f"{tuple(z.shape)}, {tuple(supports.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"z, supports and labels: expected (B, D), (S, D) and (S, C), got {shapes}")
    if temperature <= 0:
        raise ValueError(f"temperature: expected more than 0, got {temperature}")
    if (missing := labels.sum(dim=0) == 0).any():
        raise ValueError(f"class {int(missing.nonzero()[0])} has no support; draw one or more of each class")
    similarity = F.normalize(z.float(), dim=1) @ F.normalize(supports.float(), dim=1).T
    return (similarity / temperature).softmax(dim=1) @ labels.float()


def sharpened(probabilities: Tensor, temperature: float) -> Tensor:
    """p_k^(1/T) / sum_j p_j^(1/T) of each row (eq. 2): as given at 1, ever nearer to its first choice towards 0."""
    if temperature <= 0:
        raise ValueError(f"temperature: expected more than 0, got {temperature}")
    powered = (probabilities.clamp(min=torch.finfo(torch.float32).tiny).log() / temperature).softmax(dim=1)
    return torch.where(powered < FLOOR, 0.0, powered)


def cross_entropy(told: Tensor, wanted: Tensor) -> Tensor:
    """-sum_k wanted_k log told_k (B,) of probabilities (B, C), in nats; `wanted` is taken as constant."""
    return -(wanted.detach() * told.clamp(min=1e-12).log()).sum(dim=1)


def mean_entropy(probabilities: Tensor) -> Tensor:
    """The entropy of the mean row, in nats: log C when every class is guessed as often, 0 when always the same.

    Across ranks the mean is over the rows of all, as in the released code; what travels is one row of each.
    """
    means = gather(probabilities.mean(dim=0, keepdim=True))
    return torch.special.entr(means.mean(dim=0)).sum()
