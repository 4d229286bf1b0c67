"""Choosing some of the views of a picture, and what is answered when only those are asked."""

from __future__ import annotations

import torch
from torch import Tensor


def best(hopes: Tensor, k: int) -> Tensor:
    """The k views (B, k) of the highest hopes (B, K), the best first."""
    if not 1 <= k <= hopes.shape[1]:
        raise ValueError(f"k: expected 1 to {hopes.shape[1]} views, got {k}")
    return hopes.argsort(dim=1, descending=True, stable=True)[:, :k]


def chosen_mean(told: Tensor, chosen: Tensor) -> Tensor:
    """The mean (B, classes) over the chosen views (B, k) of what is said of each, told (B, K, classes)."""
    return told.gather(1, chosen[:, :, None].expand(-1, -1, told.shape[2])).mean(dim=1)


def view_losses(told: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy (B, K) of each view; told (B, K, classes), labels (B,)."""
    true = told.gather(2, labels[:, None, None].expand(-1, told.shape[1], 1))[:, :, 0]
    return -true.clamp(min=1e-12).log()


def ways(told: Tensor, hopes: Tensor, labels: Tensor, k: int) -> dict[str, Tensor]:
    """What is answered (B, classes) by each way to choose views; told (B, K, classes). The oracle knows the labels."""
    dice = torch.rand(told.shape[:2], generator=torch.Generator().manual_seed(0)).to(told.device)
    return {
        "as it is": told[:, 0], "all 12": told.mean(dim=1), f"random {k}": chosen_mean(told, best(dice, k)),
        **{f"learned {n}": chosen_mean(told, best(hopes, n)) for n in sorted({1, 3, k})},
        "oracle": chosen_mean(told, best(-view_losses(told, labels), 1)),
    }  # fmt: skip
