"""Does a confidence of 0.8 mean right four times in five? Reliability, ECE, Brier score, NLL, temperature scaling."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Reliability:
    """Per bin, each (M,) float64: entries, mean confidence, share that was right (both 0 in an empty bin)."""

    count: Tensor
    confidence: Tensor
    accuracy: Tensor


def check_probabilities(probabilities: Tensor, dim: int = 1) -> None:
    """ValueError unless `probabilities` are distributions along `dim` (tolerance 1e-4). Waits for the device."""
    sums = probabilities.sum(dim=dim)
    # Written so that NaN fails too.
    if not ((sums - 1).abs() <= 1e-4).all() or not (probabilities >= 0).all():
        raise ValueError(
            f"probabilities: expected numbers >= 0 that sum to 1 along axis {dim}, "
            f"got sums {sums.min().item():.4g} to {sums.max().item():.4g}; apply softmax to logits first"
        )


def reliability(probabilities: Tensor, labels: Tensor, bins: int = 15) -> Reliability:
    """Top-label confidences (N, C) sorted into `bins` equal bins ((i - 1) / M, i / M], so that 1 falls in the last."""
    if bins < 1:
        raise ValueError(f"bins: expected 1 or more, got {bins}")
    _check(probabilities, labels)
    confidence, predictions = probabilities.double().max(dim=1)
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=confidence.device)
    index = (torch.bucketize(confidence, edges) - 1).clamp(0, bins - 1)

    def per_bin(values: Tensor) -> Tensor:
        return torch.zeros(bins, dtype=torch.float64, device=values.device).index_add_(0, index, values)

    count = per_bin(torch.ones_like(confidence))
    filled = count.clamp(min=1)
    return Reliability(count, per_bin(confidence) / filled, per_bin((predictions == labels).double()) / filled)


def expected_calibration_error(probabilities: Tensor, labels: Tensor, bins: int = 15) -> Tensor:
    """ECE = sum_i |B_i| / n |acc(B_i) - conf(B_i)| (Guo et al. 2017, eq. 3), in [0, 1].

    Biased upwards in small sets: about 0.01 for a perfectly calibrated model with 5 000 images and 15 bins.
    """
    table = reliability(probabilities, labels, bins)
    return (table.count * (table.accuracy - table.confidence).abs()).sum() / table.count.sum()


def brier(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Mean over images of ||p - e_y||^2, in [0, 2]; probabilities (N, C), labels (N,)."""
    _check(probabilities, labels)
    return (probabilities.double() - F.one_hot(labels, probabilities.shape[1])).square().sum(dim=1).mean()


def negative_log_likelihood(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Mean over images of -log p_y, in nats; probabilities (N, C), labels (N,). Infinite when p_y = 0 somewhere."""
    _check(probabilities, labels)
    return F.nll_loss(probabilities.double().log(), labels)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The T > 0 that minimises the NLL of softmax(logits / T) (Guo et al. 2017, sec. 4.2).

    Fit it on held-out images, never on those the network learned from. It leaves every argmax as it is.
    """
    _check_labels(logits, labels)
    logits = logits.detach().double().cpu()
    labels = labels.cpu()
    # The NLL is convex in 1 / T; its logarithm keeps T positive.
    log_inverse = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_inverse], max_iter=200, tolerance_change=1e-12, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(logits * log_inverse.exp(), labels)
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return (-log_inverse).exp().item()


def _check(probabilities: Tensor, labels: Tensor) -> None:
    _check_labels(probabilities, labels)
    check_probabilities(probabilities)


def _check_labels(scores: Tensor, labels: Tensor) -> None:
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or not len(labels):
        raise ValueError(f"expected (N, C) scores and (N,) labels, got {tuple(scores.shape)} and {tuple(labels.shape)}")
    if int(labels.min()) < 0 or int(labels.max()) >= scores.shape[1]:
        found = f"{int(labels.min())} to {int(labels.max())}"
        raise ValueError(f"labels: expected 0 to {scores.shape[1] - 1}, got {found}")
