"""The curve by which UMAP measures nearness in the plane: 1 / (1 + a d^{2b})."""

from __future__ import annotations

import torch
from torch import Tensor


def fit_curve(min_dist: float, spread: float = 1.0) -> tuple[float, float]:
    """a and b for which 1 / (1 + a d^{2b}) is nearest to 1 up to min_dist, exp(-(d - min_dist) / spread) beyond.

    McInnes et al. 2018, definition 11. Least squares at 300 distances up to 3 spread as in umap-learn, by
    Levenberg-Marquardt.
    """
    if not 0 <= min_dist <= 3 * spread:
        raise ValueError(f"min_dist: expected 0 to {3 * spread}, three times the spread, got {min_dist}")
    distance = torch.linspace(0, 3 * spread, 300, dtype=torch.float64)
    wanted = torch.where(distance < min_dist, 1.0, (-(distance - min_dist) / spread).exp())
    log = distance.clamp(min=1e-12).log()
    now, damping = torch.ones(2, dtype=torch.float64), 1e-3

    def miss(ab: Tensor) -> Tensor:
        return 1 / (1 + ab[0] * (2 * ab[1] * log).exp()) - wanted

    error = miss(now)
    for _ in range(200):
        power, near = (2 * now[1] * log).exp(), error + wanted
        slope = torch.stack((-power * near**2, -2 * now[0] * log * power * near**2), dim=1)
        square = slope.T @ slope
        step = torch.linalg.solve(square + damping * square.diag().diag(), -slope.T @ error)
        tried = now + step
        found = miss(tried)
        if tried.min() > 0 and found.square().sum() <= error.square().sum():
            now, error, damping = tried, found, damping / 10
            if step.abs().max() < 1e-12:
                break
        else:
            damping *= 10
    return now[0].item(), now[1].item()
