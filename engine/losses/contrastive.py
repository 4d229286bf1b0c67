"""Contrastive losses: know the partner among the others."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.ops.across import gather, rank, world


def info_nce_logits(query: Tensor, key: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """Similarities (B, 1 + K) over `temperature`; the right answer of every row is column 0 (He et al. 2020, alg. 1).

    query, key: (B, D) unit rows, paired. negatives: (K, D) unit rows, the queue of earlier keys. Across ranks nothing
    needs to be gathered here, as long as all have the same queue: a row does not depend on the others of its batch.
    """
    _check_pair(query, key, temperature, names=("query", "key"))
    if negatives.ndim != 2 or negatives.shape[1] != query.shape[1]:
        raise ValueError(f"negatives: expected (K, {query.shape[1]}), got shape {tuple(negatives.shape)}")
    positive = (query * key).sum(dim=1, keepdim=True)
    return torch.cat((positive, query @ negatives.T), dim=1) / temperature


def info_nce(query: Tensor, key: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """Mean over rows of -log(e^{q.k/t} / (e^{q.k/t} + sum_j e^{q.n_j/t})), in nats (He et al. 2020, eq. 1).

    Arguments as in `info_nce_logits`. Chance is log(1 + K).
    """
    logits = info_nce_logits(query, key, negatives, temperature)
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64, device=logits.device))


def nt_xent(one: Tensor, two: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross-entropy of 2B views (Chen et al. 2020, eq. 1 and alg. 1), mean in nats.

    one, two: (B, D) embeddings of two views, row by row; any length, they are compared by cosine. Each view seeks its
    partner among the 2B - 1 others. Chance is log(2B - 1). Across W ranks, each gives its B rows and gets the mean of
    their losses among the 2WB - 1 others of all ranks; the mean over ranks is the loss of the joint batch.
    """
    _check_pair(one, two, temperature, names=("one", "two"))
    if len(one) * world() < 2:
        raise ValueError(f"one and two: NT-Xent needs at least 2 images as each other's negatives, got {len(one)}")
    unit = F.normalize(torch.cat((one, two)), dim=1)
    similarity, own = unit @ gather(unit).T / temperature, rank() * len(unit)  # where this rank's columns begin
    similarity.narrow(1, own, len(unit)).fill_diagonal_(float("-inf"))
    return F.cross_entropy(similarity, own + torch.arange(len(unit), device=unit.device).roll(len(one)))


def _check_pair(one: Tensor, two: Tensor, temperature: float, names: tuple[str, str]) -> None:
    if one.ndim != 2 or one.shape != two.shape:
        shapes = f"{tuple(one.shape)} and {tuple(two.shape)}"
        raise ValueError(f"{names[0]} and {names[1]}: expected the same shape (B, D), got {shapes}")
    if temperature <= 0:
        raise ValueError(f"temperature: expected more than 0, got {temperature}")
