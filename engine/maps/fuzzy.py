"""The fuzzy graph of UMAP: how surely a point is connected with each of its neighbours.

McInnes, Healy, Melville 2018, arXiv:1802.03426, section 3.1 and algorithms 2 and 3; details as in umap-learn 0.5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

ROUNDS = 64
"""Halvings of the interval that sigma is in."""
LEAST = 1e-3
"""Smallest sigma, as a share of the mean distance to the neighbours."""


@dataclass(frozen=True)
class Graph:
    """Directed edges, sorted by head: head, tail (E,) int64 and weight (E,) in (0, 1], on one device."""

    head: Tensor
    tail: Tensor
    weight: Tensor


def smooth_distances(distance: Tensor, target: float) -> tuple[Tensor, Tensor]:
    """sigma and rho (N,) of distances (N, k), ascending, to the neighbours of each point (algorithm 3).

    rho_i is the smallest distance that is not 0 (0 where all are), and sigma_i solves
    sum_j exp(-max(0, d_ij - rho_i) / sigma_i) = target, by bisection, all points at once.
    """
    positive = torch.where(distance > 0, distance, torch.inf).amin(dim=1)
    rho = torch.where(positive.isfinite(), positive, 0.0)
    beyond = (distance - rho[:, None]).clamp(min=0).double()
    low, high = beyond.new_zeros(len(beyond)), beyond.new_full((len(beyond),), torch.inf)
    sigma = torch.ones_like(low)
    for _ in range(ROUNDS):
        above = (-beyond / sigma[:, None]).exp().sum(dim=1) > target
        low, high = torch.where(above, low, sigma), torch.where(above, sigma, high)
        sigma = torch.where(high.isinf(), 2 * sigma, (low + high) / 2)
    floor = LEAST * torch.where(rho > 0, distance.mean(dim=1), distance.mean())
    return torch.maximum(sigma.to(distance), floor), rho


def memberships(distance: Tensor, neighbours: int) -> Tensor:
    """exp(-max(0, d_ij - rho_i) / sigma_i) in [0, 1], (N, k), in all log2(neighbours) a point (algorithm 2): how surely
    j belongs to the surroundings of i. distance (N, k), ascending."""
    sigma, rho = smooth_distances(distance, math.log2(neighbours))
    beyond = (distance - rho[:, None]).clamp(min=0)
    return torch.where(beyond > 0, (-beyond / sigma[:, None]).exp(), 1.0)


def directed(index: Tensor, weight: Tensor) -> Graph:
    """The edges from each of M points to its neighbours, index and weight (M, k), without those of weight 0."""
    head = torch.arange(len(index), device=index.device).repeat_interleave(index.shape[1])
    keep = weight.flatten() > 0
    return Graph(head[keep], index.flatten()[keep], weight.flatten()[keep])


def union(graph: Graph, count: int) -> Graph:
    """The fuzzy union B = A + A^T - A o A^T of a graph of `count` points with its reverse (section 3.1): symmetric."""
    places = torch.cat((graph.head * count + graph.tail, graph.tail * count + graph.head))
    edges, which = places.unique(return_inverse=True)  # sorted: by head, then by tail
    forth, back = (
        graph.weight.new_zeros(len(edges)).scatter_(0, part, graph.weight)  # no edge twice, so nothing to add up
        for part in which.split(len(graph.head))
    )
    return Graph(edges // count, edges % count, forth + back - forth * back)
