"""Learning an order: only the places of scores count, not the scores."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.ops.ranks import ranks, soft_ranks


def ranking_loss(scores: Tensor, losses: Tensor, temperature: float, slack: float) -> Tensor:
    """Mean squared error (B,) of the differentiable places of `scores` against the true ones of `losses`, each (B, K).

    Places are divided by K; the highest score should go with the lowest loss. Squared errors below `slack` do not
    count (Kim et al. 2020, released code).
    """
    if scores.shape != losses.shape:
        raise ValueError(f"losses: expected one for each of {scores.shape[1]} views, got shape {tuple(losses.shape)}")
    count = scores.shape[1]
    error = (soft_ranks(scores, temperature) - ranks(-losses)).div(count).square()
    return torch.where(error < slack, 0.0, error).mean(dim=1)
