"""Simple readers of frozen features: weighted nearest neighbours and the linear probe. They train no network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


def knn_scores(
    bank: Tensor,
    labels: Tensor,
    queries: Tensor,
    classes: int,
    k: int = 20,
    temperature: float = 0.07,
    chunk: int = 4096,
) -> Tensor:
    """Votes (M, classes) of the k most similar of N known images, rows summing to 1 (Wu et al. 2018, sec. 3.4).

    A neighbour of cosine similarity s votes for its label with weight e^{s / temperature}.
    bank (N, D) and labels (N,): the known. queries (M, D): answered `chunk` at a time.
    """
    if bank.ndim != 2 or queries.ndim != 2 or bank.shape[1] != queries.shape[1] or labels.shape != bank.shape[:1]:
        shapes = f"{tuple(bank.shape)}, {tuple(labels.shape)}, {tuple(queries.shape)}"
        raise ValueError(f"bank, labels, queries: expected (N, D), (N,), (M, D), got {shapes}")
    if not 1 <= k <= len(bank):
        raise ValueError(f"k: expected 1 to {len(bank)}, the size of the bank, got {k}")
    if temperature <= 0:
        raise ValueError(f"temperature: expected more than 0, got {temperature}")
    known = _unit(bank, "bank")
    scores = []
    for part in _unit(queries, "queries").split(chunk):
        similarity, index = (part @ known.T).topk(k, dim=1)
        # The largest weight is scaled to 1, so that a small temperature does not overflow.
        weight = ((similarity - similarity[:, :1]) / temperature).exp()
        votes = weight.new_zeros(len(part), classes).scatter_add_(1, labels[index], weight)
        scores.append(votes / votes.sum(dim=1, keepdim=True))
    return torch.cat(scores) if scores else known.new_zeros(0, classes)


@dataclass(frozen=True)
class LinearProbe:
    """A multinomial logistic regression on standardised features; call it on features (N, D) for logits (N, C)."""

    mean: Tensor
    deviation: Tensor
    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        return F.linear((features - self.mean) / self.deviation, self.weight, self.bias)


def linear_probe(
    features: Tensor, labels: Tensor, classes: int, strength: float = 0.1, steps: int = 300
) -> LinearProbe:
    """Fit a `LinearProbe` by L-BFGS to features (N, D) and labels (N,), on their device.

    Minimises sum_n CE_n + ||W||^2 / (2 strength), the bias free: scikit-learn's C = strength. Mean and deviation of
    each feature are taken here and kept, so that what is read later is scaled by what was learned from.
    """
    if features.ndim != 2 or labels.shape != features.shape[:1] or not len(labels):
        shapes = f"{tuple(features.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"features and labels: expected (N, D) and (N,) with N >= 1, got {shapes}")
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise ValueError(f"labels: expected 0 to {classes - 1}, got {int(labels.min())} to {int(labels.max())}")
    if strength <= 0:
        raise ValueError(f"strength: expected more than 0, got {strength}")
    features = features.detach()
    mean, deviation = features.mean(dim=0), features.std(dim=0, correction=0)
    deviation = torch.where(deviation > 0, deviation, 1)
    inputs = (features - mean) / deviation
    weight = torch.zeros(classes, features.shape[1], dtype=features.dtype, device=features.device, requires_grad=True)
    bias = torch.zeros(classes, dtype=features.dtype, device=features.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=steps, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        penalty = weight.square().sum() / (2 * strength * len(labels))
        loss = F.cross_entropy(F.linear(inputs, weight, bias), labels) + penalty
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return LinearProbe(mean, deviation, weight.detach(), bias.detach())


def _unit(features: Tensor, name: str) -> Tensor:
    length = features.norm(dim=1, keepdim=True)
    if (length == 0).any():
        row = int((length[:, 0] == 0).nonzero()[0])
        raise ValueError(f"{name}: row {row} is all zeros and has no direction to compare")
    return features / length
