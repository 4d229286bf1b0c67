"""Exact nearest neighbours on any device, a chunk of rows at a time: N x N distances are never in memory at once."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.ops.precision import full_precision

Metric = Literal["euclidean", "cosine"]
ROOM = 1 << 24
"""Distances that are held at once: 64 MB."""
SPARE = 4
"""Candidates beyond k, since the fast distances by which they are found are rounded in the last digits."""


def nearest_neighbours(
    features: Tensor, k: int, metric: Metric = "euclidean", queries: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Distances (M, k), ascending, and positions (M, k) of the k rows of `features` (N, D) nearest to each query.

    queries (M, D); None: the rows themselves, each without itself. cosine: 1 minus the cosine, 1 for a row of zeros.
    Candidates are found by one matrix product a chunk, and their distances are then measured exactly.
    """
    bank, asked = prepared(features, metric), None if queries is None else prepared(queries, metric)
    most = len(bank) - (asked is None)
    if not 1 <= k <= most:
        what = "the size of the bank" if asked is not None else "one less than there are points"
        raise ValueError(f"k: expected 1 to {most}, {what}, got {k}")
    rows = bank if asked is None else asked
    centre = bank.mean(dim=0) if metric == "euclidean" else bank.new_zeros(bank.shape[1])
    centred = bank - centre
    chunk = max(1, ROOM // max(len(bank), (k + SPARE) * bank.shape[1]))
    # Written into what is there from the start: small results between large passing ones would hold their memory.
    distance, index = rows.new_empty(len(rows), k), torch.empty(len(rows), k, dtype=torch.int64, device=rows.device)
    for first in range(0, len(rows), chunk):
        part, at = rows[first : first + chunk], slice(first, first + chunk)
        own = first if asked is None else None
        distance[at], index[at] = _nearest(bank, centred, part, part - centre, k, metric, own)
    return distance, index


def _nearest(
    bank: Tensor, centred: Tensor, rows: Tensor, rows_centred: Tensor, k: int, metric: Metric, first: int | None
) -> tuple[Tensor, Tensor]:
    """The answer for some rows; first: the position of the first of them in the bank, where none is its own."""
    rough = squared_distances(rows_centred, centred)
    if first is not None:
        rough[torch.arange(len(rows)), torch.arange(first, first + len(rows))] = torch.inf
    most = len(bank) - (first is not None)
    index = rough.topk(min(k + SPARE, most), dim=1, largest=False).indices.sort(dim=1).values
    exact = _exact(rows[:, None], bank[index], metric)
    distance, order = exact.sort(dim=1, stable=True)
    return distance[:, :k], index.gather(1, order[:, :k])


def _exact(one: Tensor, two: Tensor, metric: Metric) -> Tensor:
    return (one - two).norm(dim=-1) if metric == "euclidean" else (1 - (one * two).sum(dim=-1)).clamp(min=0)


def prepared(features: Tensor, metric: Metric) -> Tensor:
    """Features (N, D) in float32 as distances need them: of unit length for cosine. ValueError: not finite, or no N."""
    if features.ndim != 2 or not features.numel():
        raise ValueError(f"features: expected (N, D) with at least one row, got shape {tuple(features.shape)}")
    rows = features.detach().float()
    if broken := int((~rows.isfinite()).any(dim=1).sum()):
        raise ValueError(
            f"features: {broken} of {len(rows)} rows are not finite; look at the weights, or leave them out"
        )
    return F.normalize(rows, dim=1) if metric == "cosine" else rows


def squared_distances(one: Tensor, two: Tensor) -> Tensor:
    """(M, N) of (M, D) and (N, D) by one product; near 0 they are rounded, so centre what lies far from the origin."""
    with full_precision(one):
        squares = one.square().sum(dim=1, keepdim=True), two.square().sum(dim=1)
        return torch.addmm(squares[1], one, two.T, alpha=-2).add_(squares[0]).clamp_(min=0)
