"""Places in an order, exact and differentiable: 1 is the highest. Each row of (..., K) by itself."""

from __future__ import annotations

import torch
from torch import Tensor


def ranks(values: Tensor) -> Tensor:
    """1 for the highest of each row, K for the lowest; equals share the mean of their places."""
    higher = values.unsqueeze(-2) - values.unsqueeze(-1)  # [j, k]: by how much k exceeds j
    return 0.5 + (higher > 0).float().sum(dim=-1) + 0.5 * (higher == 0).float().sum(dim=-1)


def soft_ranks(values: Tensor, temperature: float) -> Tensor:
    """r_j = 1/2 + sum_k sigmoid((v_k - v_j) / temperature): `ranks` as the temperature goes to 0, and differentiable.

    Their sum is K (K + 1) / 2 at every temperature.
    """
    if temperature <= 0:
        raise ValueError(f"temperature: expected more than 0, got {temperature}; for exact places use `ranks`")
    higher = values.unsqueeze(-2) - values.unsqueeze(-1)
    return 0.5 + torch.sigmoid(higher / temperature).sum(dim=-1)


def spearman(first: Tensor, second: Tensor) -> Tensor:
    """Correlation (...) of the places of two rows (..., K), in [-1, 1]; 0 where all values of a row are equal."""
    if first.shape != second.shape:
        raise ValueError(f"expected rows of the same shape, got {tuple(first.shape)} and {tuple(second.shape)}")
    one, two = (ranks(each) - (each.shape[-1] + 1) / 2 for each in (first, second))
    scale = (one.square().sum(dim=-1) * two.square().sum(dim=-1)).sqrt()
    return torch.where(scale > 0, (one * two).sum(dim=-1) / scale.clamp(min=1e-12), torch.zeros_like(scale))
