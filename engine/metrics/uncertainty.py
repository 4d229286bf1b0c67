"""What the spread of several predictions says: total, aleatoric and epistemic uncertainty, and how useful it is.

Members of an ensemble, or passes with dropout on, are stacked as probabilities p (B, T, C, ...): T members, C classes,
and any trailing axes, such as pixels. All results are (B, ...), entropies in nats.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.metrics.calibration import check_probabilities


def predictive_entropy(probabilities: Tensor) -> Tensor:
    """H[mean_t p_t], in [0, log C]: all that is uncertain."""
    _check(probabilities)
    return torch.special.entr(probabilities.mean(dim=1)).sum(dim=1)


def expected_entropy(probabilities: Tensor) -> Tensor:
    """mean_t H[p_t], in [0, log C]: the aleatoric part, which the picture itself carries."""
    _check(probabilities)
    return torch.special.entr(probabilities).sum(dim=2).mean(dim=1)


def mutual_information(probabilities: Tensor) -> Tensor:
    """H[mean_t p_t] - mean_t H[p_t], in [0, log C]: the epistemic part, on which members disagree (BALD)."""
    return (predictive_entropy(probabilities) - expected_entropy(probabilities)).clamp(min=0)


def variation_ratio(probabilities: Tensor) -> Tensor:
    """1 - f_mode / T, in [0, 1): the share of members that do not vote for the commonest class."""
    _check(probabilities)
    votes = torch.zeros_like(probabilities[:, 0])
    choices = probabilities.argmax(dim=2)
    votes.scatter_add_(1, choices, torch.ones_like(choices, dtype=votes.dtype))
    return 1 - votes.amax(dim=1) / probabilities.shape[1]


def auroc(positive: Tensor, negative: Tensor) -> Tensor:
    """Chance that a positive's score exceeds a negative's, ties counting half: the area under the ROC curve.

    positive (N,), negative (M,): scores of the two groups, such as unfamiliar and familiar images.
    """
    if not len(positive) or not len(negative):
        raise ValueError(
            f"auroc needs scores of both groups, got {len(positive)} positive and {len(negative)} negative"
        )
    below = negative.sort().values
    lower = torch.searchsorted(below, positive)
    upper = torch.searchsorted(below, positive, right=True)
    return (lower + upper).double().mean() / (2 * len(negative))


def risk_coverage(uncertainty: Tensor, errors: Tensor) -> tuple[Tensor, Tensor]:
    """Coverage k / N and the error rate among the k least uncertain images, for k = 1..N: two (N,) float64.

    uncertainty (N,); errors (N,) bool or losses. Images of equal uncertainty are taken in the mean over their orders.
    The mean of the second is the area under the risk-coverage curve.
    """
    if uncertainty.shape != errors.shape or uncertainty.ndim != 1 or not len(errors):
        shapes = f"{tuple(uncertainty.shape)} and {tuple(errors.shape)}"
        raise ValueError(f"uncertainty and errors: expected the same (N,) with N >= 1, got {shapes}")
    _, level, size = uncertainty.unique(return_inverse=True, return_counts=True)
    level_risk = torch.zeros(len(size), dtype=torch.float64, device=errors.device).index_add_(0, level, errors.double())
    taken = torch.arange(1, len(errors) + 1, dtype=torch.float64, device=errors.device)
    return taken / len(errors), (level_risk / size).repeat_interleave(size).cumsum(dim=0) / taken


def _check(probabilities: Tensor) -> None:
    if probabilities.ndim < 3 or probabilities.shape[1] < 2:
        raise ValueError(f"probabilities: expected (B, T, C, ...) with T >= 2, got shape {tuple(probabilities.shape)}")
    check_probabilities(probabilities, dim=2)
