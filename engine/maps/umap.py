r"""UMAP: neighbours in the features become neighbours in the plane.

McInnes, Healy, Melville 2018. arXiv:1802.03426, algorithms 1 to 5.

Each point is connected with its nearest neighbours by a fuzzy graph w (see `engine.maps.fuzzy`), and places y are moved
so that v_ij = 1 / (1 + a |y_i - y_j|^{2b}) agrees with it: by descent on the cross-entropy (section 3.2)

$$\sum_{ij} w_{ij} \log\frac{w_{ij}}{v_{ij}} + (1 - w_{ij}) \log\frac{1 - w_{ij}}{1 - v_{ij}}$$

whose first part pulls along sampled edges, the second pushes from points drawn at random (algorithm 5).

Differs: the edges of an epoch are not taken one after another but in `PARTS` parts, each all at once, so that a GPU is
used and the same seed gives the same map; the first layout is that of PCA, not of the graph's spectrum.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from engine.maps.curve import fit_curve
from engine.maps.fuzzy import Graph, directed, memberships, union
from engine.maps.start import checked, mappable, principal_places, seeded
from engine.ops.neighbours import Metric, nearest_neighbours
from engine.params import Params, knob

NEGATIVES = 5
"""Points drawn at random for each sampled edge, from which its head is pushed."""
CLIP = 4.0
"""Largest move along an axis that one pair causes, before the learning rate."""
EPSILON = 1e-3
"""Added to the squared distance in the push, which would else be infinite for points in one place."""
PARTS = 4
EXTENT = 10.0
"""The first layout reaches from -EXTENT to EXTENT."""


class UmapParams(Params):
    n_neighbors: int = knob(15, "neighbours that make up a surrounding, the point among them; fewer: finer", 2, 200)
    min_dist: float = knob(0.1, "how near points may lie: smaller, tighter clumps", 0.0, 0.99)
    metric: Metric = knob("euclidean", "cosine: only the direction of features counts")
    epochs: int = knob(500, "passes over the graph", 1, 5000, tiny=5, unit="epochs")
    pull: float = knob(0.0, "how strongly points are held where an earlier map had them", 0.0, 1.0)
    seed: int = knob(0, "other random draws", 0, 2**31 - 1, fold=True)


def fit(
    features: Tensor, params: UmapParams, generator: torch.Generator | None = None, earlier: Tensor | None = None
) -> Iterator[Tensor]:
    """The first layout, then one after each epoch: see `engine.maps`. With `earlier` the map begins there, and
    params.pull adds pull / 2 |y_i - earlier_i|^2 for each point to what is descended."""
    rows = mappable(features, params.metric)
    first = spread_out(rows) if earlier is None else checked(earlier, rows)
    return descend(
        first, None, fuzzy_graph(rows, params), params, seeded(rows, generator, params.seed),
        None if earlier is None else first,
    )  # fmt: skip


def transform(
    new: Tensor, features: Tensor, places: Tensor, params: UmapParams, generator: torch.Generator | None = None
) -> Iterator[Tensor]:
    """Layouts (M, 2) of new features (M, D) in the finished map `places` (N, 2) of features (N, D), which stays.

    They begin at the mean of their neighbours' places, weighted by membership, and descend for a third of the epochs.
    """
    if places.shape != (len(features), 2):
        raise ValueError(f"places: expected ({len(features)}, 2), the map of the features, got {tuple(places.shape)}")
    k = min(params.n_neighbors, len(features))
    distance, index = nearest_neighbours(features, k, params.metric, new)
    weight = memberships(distance, k)
    known = places.to(distance)
    first = torch.einsum("mk,mkc->mc", weight / weight.sum(dim=1, keepdim=True), known[index])
    fewer = params.model_copy(update={"epochs": max(1, params.epochs // 3)})
    return descend(first, known, directed(index, weight), fewer, seeded(features, generator, params.seed))


def fuzzy_graph(rows: Tensor, params: UmapParams) -> Graph:
    """The symmetric graph of features (N, D) (algorithms 1 and 2); n_neighbors is at most N."""
    k = min(params.n_neighbors, len(rows))
    distance, index = nearest_neighbours(rows, k - 1, params.metric)
    return union(directed(index, memberships(distance, k)), len(rows))


def spread_out(rows: Tensor) -> Tensor:
    """The first layout: principal components, stretched to EXTENT."""
    places = principal_places(rows)
    return EXTENT * (places / places.abs().max().clamp(min=torch.finfo(places.dtype).tiny))


def attraction(difference: Tensor, a: float, b: float) -> Tensor:
    """-d/dy_i of -log v_ij, (..., 2), for differences y_i - y_j (..., 2)."""
    squared = difference.square().sum(dim=-1, keepdim=True)
    power = squared.pow(b)
    force = -2 * a * b * power / (squared.clamp(min=torch.finfo(squared.dtype).tiny) * (1 + a * power))
    return force * difference


def repulsion(difference: Tensor, a: float, b: float, epsilon: float = EPSILON) -> Tensor:
    """-d/dy_i of -log(1 - v_ij), (..., 2), with epsilon added to the squared distance that is divided by."""
    squared = difference.square().sum(dim=-1, keepdim=True)
    return 2 * b / ((epsilon + squared) * (1 + a * squared.pow(b))) * difference


def descend(
    places: Tensor, fixed: Tensor | None, graph: Graph, params: UmapParams, generator: torch.Generator,
    held: Tensor | None = None,
) -> Iterator[Tensor]:  # fmt: skip
    """`places` (N, 2), and as they are after each epoch (algorithm 5).

    fixed (M, 2): the places of tails, which stay; None: heads and tails are the same points, and the graph symmetric.
    An edge is due each 1 / share epochs, its weight being that share of the largest. held: where `pull` draws points.
    """
    yield places
    a, b = fit_curve(params.min_dist)
    share = graph.weight / graph.weight.max()
    part = (graph.head + graph.tail) % PARTS  # the same for an edge and its reverse, so that both are taken together
    for epoch in range(params.epochs):
        rate = 1 - epoch / params.epochs
        due = (share * (epoch + 1)).floor() > (share * epoch).floor()
        for now in range(PARTS):
            head, tail = (ends[due & (part == now)] for ends in (graph.head, graph.tail))
            others = places if fixed is None else fixed
            here = places[head]
            pull = attraction(here - others[tail], a, b).clamp(-CLIP, CLIP)
            drawn = torch.randint(len(others), (len(head), NEGATIVES), generator=generator, device=head.device)
            push = repulsion(here[:, None] - others[drawn], a, b).clamp(-CLIP, CLIP).sum(dim=1)
            # An edge that is due both ways moves each of its ends twice: as head of the one, as tail of the other.
            force = push + (2 * pull if fixed is None else pull)
            places = places + rate * _sums(force, head, len(places))
        if held is not None and params.pull:
            places = places + rate * params.pull * (held - places)
        yield places


def _sums(values: Tensor, head: Tensor, count: int) -> Tensor:
    """(count, 2): the sum of values (E, 2) over the edges of each head, always in the same order. head ascends."""
    return torch.segment_reduce(values, "sum", lengths=torch.bincount(head, minlength=count), unsafe=True)
