"""Sharing rows out among columns so that every column gets as much: optimal transport by Sinkhorn and Knopp."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.ops.across import gather


@torch.no_grad()
def sinkhorn(scores: Tensor, epsilon: float = 0.05, iterations: int = 3) -> Tensor:
    """Codes (B, K) of scores (B, K), without gradient: rows sum to 1, and columns nearly to B / K (Caron et al. 2020,
    sec. 3.1 and appendix A).

    Maximises sum(codes * scores) + epsilon * entropy(codes) under both sums; the more iterations, the nearer the
    columns come. epsilon: how soft codes are. 0 iterations: a softmax of each row, which lets one column take all.
    Across ranks, columns are shared out over the rows of all, and each gets the codes of its own; their numbers may
    differ. What travels is a row of sums an iteration, not the scores.
    """
    if scores.ndim != 2 or not scores.numel():
        raise ValueError(f"scores: expected (B, K), got shape {tuple(scores.shape)}")
    if epsilon <= 0:
        raise ValueError(f"epsilon: expected more than 0, got {epsilon}")
    if iterations < 0:
        raise ValueError(f"iterations: expected 0 or more, got {iterations}")
    logs = scores.double() / epsilon  # in logarithms, so that nothing overflows
    if not logs.isfinite().all():
        raise ValueError("scores: some are not numbers; training has diverged, lower the learning rate")
    for _ in range(iterations):
        sums = gather(logs.logsumexp(dim=0, keepdim=True))
        logs = logs - sums.logsumexp(dim=0, keepdim=True)  # every prototype the same share
        logs = logs - logs.logsumexp(dim=1, keepdim=True)  # every picture the same share
    return logs.softmax(dim=1).to(scores.dtype)
