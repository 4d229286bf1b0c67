"""What several networks are worth together, and what each more of them brings. They say p (B, M, classes)."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.metrics.calibration import expected_calibration_error as ece
from engine.metrics.calibration import negative_log_likelihood as nll
from engine.metrics.classification import accuracy
from engine.metrics.doubts import hesitation
from engine.metrics.uncertainty import auroc


def two(told: Tensor) -> Tensor:
    """p (B, M, classes) with a single network taken twice: it agrees with itself."""
    return told if told.shape[1] > 1 else told.expand(-1, 2, -1)


def merits(told: Tensor, truth: Tensor, strange: Tensor) -> dict[str, Tensor]:
    """What the mean of probabilities (B, M, classes) is worth, given the truth (B,), and strange ones (S, M, classes).

    AUROC: how often a strange picture raises more total doubt than a known one.
    """
    mean, other = told.mean(dim=1), strange.mean(dim=1)
    right = {"accuracy": accuracy(mean.argmax(dim=1), truth), "NLL": nll(mean, truth), "ECE": ece(mean, truth)}
    return right | {"AUROC": auroc(hesitation(other), hesitation(mean))}


def growing(told: Tensor, truth: Tensor, strange: Tensor) -> dict[str, Tensor]:
    """`merits` (M,) of 1, 2, ... M networks, each the mean over the M ways to take so many neighbours in a ring."""
    count = told.shape[1]
    rings = [[(start + torch.arange(size)) % count for start in range(count if size < count else 1)]
             for size in range(1, count + 1)]  # fmt: skip
    found = [[merits(told[:, ring], truth, strange[:, ring]) for ring in size] for size in rings]
    return {name: torch.stack([torch.stack([each[name] for each in size]).mean() for size in found])
            for name in found[0][0]}  # fmt: skip
