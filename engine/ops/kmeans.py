"""k-means with k-means++ (Arthur & Vassilvitskii 2007), the same on every device for the same draws.

`kmeans` does it all; who wants to see it work makes the centres with `spread_centres`, then asks `assign` and `update`
in turns.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.ops.neighbours import prepared, squared_distances
from engine.ops.precision import full_precision

CHUNK = 8192


def kmeans(
    features: Tensor, clusters: int, generator: torch.Generator | None = None, tries: int = 4, rounds: int = 100
) -> tuple[Tensor, Tensor]:
    """The cluster (N,) int64 of each row of features (N, D), and the centres (clusters, D): the best of `tries`.

    generator: on the CPU, wherever the features are. A cluster that runs empty takes the row farthest from its centre.
    """
    rows = prepared(features, "euclidean")
    if not 1 <= clusters <= len(rows):
        raise ValueError(f"clusters: expected 1 to {len(rows)}, the number of points, got {clusters}")
    generator = generator or torch.Generator().manual_seed(0)
    middle = rows.mean(dim=0)
    found = [_once(rows - middle, clusters, generator, rounds) for _ in range(tries)]
    cluster, centres, _ = min(found, key=lambda one: one[2])
    return cluster, centres + middle


def _once(rows: Tensor, clusters: int, generator: torch.Generator, rounds: int) -> tuple[Tensor, Tensor, float]:
    centres = spread_centres(rows, clusters, generator)
    cluster, squared = assign(rows, centres)
    for _ in range(rounds):
        centres = update(rows, cluster, squared, clusters)
        before = cluster
        cluster, squared = assign(rows, centres)
        if torch.equal(cluster, before):
            break
    return cluster, centres, squared.double().sum().item()


def assign(rows: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest centre (N,) of each row, and the squared distance (N,) to it."""
    best = [squared_distances(part, centres).min(dim=1) for part in rows.split(CHUNK)]
    return torch.cat([part.indices for part in best]), torch.cat([part.values for part in best])


def update(rows: Tensor, cluster: Tensor, squared: Tensor, clusters: int) -> Tensor:
    """Centres (clusters, D): the mean of each cluster's rows, given what `assign` found; of an empty one, the row that
    is farthest from its centre."""
    sums = [F.one_hot(part, clusters).float().T for part in cluster.split(CHUNK)]
    size = torch.stack([part.sum(dim=1) for part in sums]).sum(dim=0)
    with full_precision(rows):
        total = torch.stack([part @ of for part, of in zip(sums, rows.split(CHUNK), strict=True)]).sum(dim=0)
    centres = total / size.clamp(min=1)[:, None]
    empty = (size == 0).nonzero().flatten()
    if len(empty):
        centres[empty] = rows[squared.topk(len(empty)).indices]
    return centres


def spread_centres(rows: Tensor, clusters: int, generator: torch.Generator) -> Tensor:
    """First centres (clusters, D): each next a row drawn in proportion to its squared distance to those before."""
    picked = [int(torch.randint(len(rows), (1,), generator=generator))]
    nearest = (rows - rows[picked[0]]).square().sum(dim=1)
    while len(picked) < clusters:
        reach = nearest.double().cumsum(dim=0)
        mark = torch.rand((), generator=generator, dtype=torch.float64).to(reach.device) * reach[-1]
        picked.append(int(torch.searchsorted(reach, mark, right=True).clamp(max=len(rows) - 1)))
        nearest = torch.minimum(nearest, (rows - rows[picked[-1]]).square().sum(dim=1))
    return rows[picked]
