"""Which kinds of pictures the prototypes went to."""

from __future__ import annotations

import torch
from torch import Tensor


def owners(scores: Tensor, labels: Tensor, kinds: int) -> tuple[Tensor, Tensor]:
    """Of each kind the share of pictures (kinds,), and the share of prototypes (kinds,) that are mostly its own.

    A prototype is of the kind that most pictures nearest to it are of; one that is nearest to no picture is nobody's,
    so that shares of prototypes may sum to less than 1. scores (N, K): the higher, the nearer. labels (N,): 0 to
    kinds - 1, or -1 where unknown, which do not count.
    """
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(f"scores and labels: expected (N, K) and (N,), got {tuple(scores.shape)} and "
                         f"{tuple(labels.shape)}")  # fmt: skip
    if labels.numel() and int(labels.max()) >= kinds:
        raise ValueError(f"labels: expected -1 to {kinds - 1}, got {int(labels.max())}")
    known = labels >= 0
    scores, labels = scores[known], labels[known]
    held = torch.zeros(scores.shape[1], kinds, device=scores.device)
    held.index_put_((scores.argmax(dim=1), labels), torch.ones(len(labels), device=scores.device), accumulate=True)
    used = held.sum(dim=1) > 0
    owned = torch.bincount(held.argmax(dim=1)[used], minlength=kinds).float() / max(1, scores.shape[1])
    return torch.bincount(labels, minlength=kinds).float() / max(1, len(labels)), owned
