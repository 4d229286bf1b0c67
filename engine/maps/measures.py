"""How good a map is, and how good the features are that it was made of. Nothing holds N x N numbers in memory.

Where `asked` is given, so many rows, drawn at random but always the same, are asked instead of all, about all others.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.ops.neighbours import ROOM, Metric, nearest_neighbours, prepared, squared_distances


def trustworthiness(
    features: Tensor, places: Tensor, k: int = 15, metric: Metric = "euclidean", asked: int | None = None
) -> float:
    """1 when the k neighbours of every point in the map (N, 2) are among its k nearest by features (N, D), less the
    farther they are by rank (Venna & Kaski 2001, as in van der Maaten 2009): near in the map, is it near in truth?"""
    return _preserved(places, "euclidean", features, metric, k, asked)


def continuity(
    features: Tensor, places: Tensor, k: int = 15, metric: Metric = "euclidean", asked: int | None = None
) -> float:
    """The same the other way round (Venna & Kaski 2001): near in truth, is it near in the map?"""
    return _preserved(features, metric, places, "euclidean", k, asked)


def _preserved(near: Tensor, near_metric: Metric, far: Tensor, far_metric: Metric, k: int, asked: int | None) -> float:
    """1 - 2 / (n k (2N - 3k - 1)) sum_i sum_j max(0, r(i, j) - k) over the k nearest j of i in `near`, r their rank in
    `far`, for n points i."""
    count = len(near)
    if len(far) != count:
        raise ValueError(f"features and places: expected as many rows, got {len(far)} and {count}")
    if not 1 <= k < count / 2:
        raise ValueError(f"k: expected 1 to less than half of the {count} points, got {k}")
    rows = _drawn(count, asked, near.device)
    neighbours = _without(nearest_neighbours(near, k + 1, near_metric, near[rows])[1], rows, k)
    ranked = prepared(far, far_metric)
    ranked = ranked - ranked.mean(dim=0)
    late = torch.zeros((), dtype=torch.int64, device=near.device)
    chunk = max(1, ROOM // count)
    for some, their in zip(rows.split(chunk), neighbours.split(chunk), strict=True):
        squared = squared_distances(ranked[some], ranked)
        squared[torch.arange(len(some)), some] = torch.inf
        rank = torch.searchsorted(squared.sort(dim=1).values, squared.gather(1, their)) + 1
        late += (rank - k).clamp(min=0).sum()
    return 1 - 2 * late.item() / (len(rows) * k * (2 * count - 3 * k - 1))


def knn_accuracy(
    features: Tensor, labels: Tensor, k: int = 5, metric: Metric = "euclidean", asked: int | None = None
) -> float:
    """Share of labelled points (labels (N,) int64, -1 where unknown) whose label most of their k nearest labelled ones
    have, themselves left out; of features or of a map. Of labels with as many votes the smallest counts."""
    features, labels = _labelled(features, labels)
    if not 1 <= k < len(features):
        raise ValueError(f"k: expected 1 to {len(features) - 1}, one less than there are labelled points, got {k}")
    rows = _drawn(len(features), asked, features.device)
    index = _without(nearest_neighbours(features, k + 1, metric, features[rows])[1], rows, k)
    votes = F.one_hot(labels[index], int(labels.max()) + 1).sum(dim=1)
    return (votes.argmax(dim=1) == labels[rows]).float().mean().item()


def silhouette(features: Tensor, labels: Tensor, metric: Metric = "euclidean", asked: int | None = None) -> float:
    """Mean of (b - a) / max(a, b): a the mean distance to the others of the own label, b to those of the nearest other
    label (Rousseeuw 1987). From -1 to 1; 0 for a label that only one point has. Points labelled -1 are left out."""
    features, labels = _labelled(features, labels)
    _, labels, sizes = labels.unique(return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise ValueError("labels: a silhouette needs two labels or more, got one")
    bank, rows = prepared(features, metric), _drawn(len(features), asked, features.device)
    member = F.one_hot(labels).to(bank.dtype)
    total = 0.0
    for some in rows.split(max(1, ROOM // len(bank))):
        distance = torch.cdist(bank[some], bank, compute_mode="donot_use_mm_for_euclid_dist")
        sums = (distance.square() / 2 if metric == "cosine" else distance) @ member
        own = labels[some][:, None]
        a = (sums.gather(1, own) / (sizes[own] - 1).clamp(min=1)).squeeze(1)
        b = (sums / sizes).scatter(1, own, torch.inf).amin(dim=1)
        value = ((b - a) / torch.maximum(a, b).clamp(min=torch.finfo(a.dtype).tiny)).where(sizes[own[:, 0]] > 1, 0.0)
        total += value.double().sum().item()
    return total / len(rows)


def purity(clusters: Tensor, labels: Tensor) -> float:
    """Share of labelled points that have the commonest label of their cluster; both (N,) int64, labels -1 unknown."""
    table = contingency(clusters, labels)
    return (table.amax(dim=1).sum() / table.sum()).item()


def mutual_information(clusters: Tensor, labels: Tensor) -> float:
    """Mutual information of clusters and labels over the mean of their entropies, in [0, 1] (NMI); 1 where both are one
    group only."""
    joint = contingency(clusters, labels).double()
    joint = joint / joint.sum()
    entropies = [torch.special.entr(joint.sum(dim=dim)).sum() for dim in (0, 1)]
    both = torch.special.entr(joint).sum()
    mean = (entropies[0] + entropies[1]) / 2
    return ((entropies[0] + entropies[1] - both) / mean).clamp(0, 1).item() if mean > 0 else 1.0


def contingency(clusters: Tensor, labels: Tensor) -> Tensor:
    """(clusters, labels) int64: how many points have both. ValueError when no point has a label."""
    if clusters.shape != labels.shape:
        shapes = f"{tuple(clusters.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"clusters and labels: expected the same (N,), got {shapes}")
    clusters, labels = _labelled(clusters, labels)
    across = int(labels.max()) + 1
    down = int(clusters.max()) + 1
    return torch.bincount(clusters * across + labels, minlength=down * across).view(down, across)


def _labelled(values: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Only the rows whose label is known."""
    if labels.shape != values.shape[:1]:
        raise ValueError(f"labels: expected one for each of {len(values)} points, got shape {tuple(labels.shape)}")
    known = labels >= 0
    if not known.any():
        raise ValueError("labels: no point has one; choose labelled data, or a measure that needs none")
    return values[known], labels[known]


def _drawn(count: int, asked: int | None, device: torch.device) -> Tensor:
    """Positions of `asked` rows, ascending; of all for None. Not at even distances: labels may come in turns."""
    if asked is None or asked >= count:
        return torch.arange(count, device=device)
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:asked].sort().values.to(device)


def _without(index: Tensor, rows: Tensor, k: int) -> Tensor:
    """(M, k) of neighbours (M, k + 1): each row's without itself, or without the last where it is not among them."""
    self = index == rows[:, None]
    drop = torch.where(self.any(dim=1), self.int().argmax(dim=1), k)
    keep = torch.arange(k + 1, device=index.device)[None] != drop[:, None]
    return index[keep].view(-1, k)


def judge(
    features: Tensor, places: Tensor, labels: Tensor, clusters: Tensor, metric: Metric = "euclidean", asked: int = 2000
) -> dict[str, float]:
    """All of the above that can be said of features (N, D), their map (N, 2), labels (N,) and clusters (N,): by name,
    those that need labels, or two of them, left out where there are none."""
    k = min(15, (len(features) - 1) // 2)
    told = {"trustworthiness": trustworthiness(features, places, k, metric, asked)} if k else {}
    known = labels[labels >= 0]
    if len(known) > 5:
        told["neighbours"] = knn_accuracy(features, labels, 5, metric, asked)
        told["neighbours in the map"] = knn_accuracy(places, labels, 5, asked=asked)
    if len(known) and len(known.unique()) > 1:
        told["silhouette"] = silhouette(features, labels, metric, asked)
        told["purity"] = purity(clusters, labels)
        told["mutual information"] = mutual_information(clusters, labels)
    return told
