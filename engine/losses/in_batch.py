"""Contrast with the keys of the batch alone, without a queue: each query seeks its own key among those of all."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def in_batch_logits(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """Cosines (N, N) of queries (rows) and keys over `temperature`; the right answer of a row is on the diagonal.

    query, key: (N, D) of any length, paired row by row.
    """
    if query.ndim != 2 or query.shape != key.shape:
        shapes = f"{tuple(query.shape)} and {tuple(key.shape)}"
        raise ValueError(f"query and key: expected the same shape (N, D), got {shapes}")
    if len(query) < 2:
        raise ValueError(f"query and key: needs at least 2 images as each other's negatives, got {len(query)}")
    if temperature <= 0:
        raise ValueError(f"temperature: expected more than 0, got {temperature}")
    return F.normalize(query, dim=1) @ F.normalize(key, dim=1).T / temperature


def in_batch_contrast(query: Tensor, key: Tensor, temperature: float) -> Tensor:
    """2 t times the mean cross-entropy of `in_batch_logits` (Chen, Xie & He 2021, alg. 1), in nats.

    With the factor, gradients at queries keep their size when the temperature changes. Chance is 2 t log N.
    """
    logits = in_batch_logits(query, key, temperature)
    return 2 * temperature * F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))


def symmetric_contrast(queries: Sequence[Tensor], keys: Sequence[Tensor], temperature: float) -> Tensor:
    """The sum of `in_batch_contrast` over queries and keys, pair by pair: each view's queries with the keys of the
    other one. Of two views chance is 4 t log N; of one pair it is the one-sided loss."""
    if not queries or len(queries) != len(keys):
        raise ValueError(f"queries and keys: expected one or more pairs, got {len(queries)} and {len(keys)}")
    pairs = zip(queries, keys, strict=True)
    return torch.stack([in_batch_contrast(query, key, temperature) for query, key in pairs]).sum()
