"""What several views of the same pictures say together: merging, agreement, which views are worth their pass.

`told` are logits (V, N, K): of V views, what a classifier says of N pictures.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

Merge = Literal["mean of probabilities", "mean of logits", "vote", "max"]
TIE = 1e-4
"""Weight of the mean probability beside votes, so that it alone settles a tie."""
EXACT = 10
"""Views up to which all sets of them are tried."""
LOSES = 0.05
"""Share of the pictures that a view must lose before it is said to do harm."""


def merged(told: Tensor, how: Merge) -> Tensor:
    """(V, N, K) -> (N, K): one answer of all views; rows add up to 1."""
    if not len(told):
        raise ValueError("views: none is chosen; choose at least one")
    told = told.float()
    if how == "mean of logits":
        return told.mean(dim=0).softmax(dim=1)
    chance = told.softmax(dim=2)
    mean = chance.mean(dim=0)
    if how == "mean of probabilities":
        return mean
    if how == "vote":
        votes = F.one_hot(told.argmax(dim=2), told.shape[2]).float().mean(dim=0)
        return (votes + TIE * mean) / (1 + TIE)
    most = chance.amax(dim=0)
    return most / most.sum(dim=1, keepdim=True)


def agreement(told: Tensor) -> Tensor:
    """(V, V): the share of pictures that two views call the same."""
    said = told.argmax(dim=2)
    return (said[:, None] == said[None]).float().mean(dim=2)


def closeness(chance: Tensor) -> Tensor:
    """(V, K) probabilities of one picture -> (V, V): what two views' answers have in common, 1 - |p - q|_1 / 2."""
    return 1 - (chance[:, None] - chance[None]).abs().sum(dim=2) / 2


@dataclass(frozen=True)
class Chosen:
    """A set of views, as positions in ascending order, and the share of the pictures that it gets right."""

    views: tuple[int, ...]
    right: float


def frontier(told: Tensor, labels: Tensor, how: Merge) -> list[Chosen]:
    """For each number of views the best set of so many, from one view to all; the first of equals.

    Of up to `EXACT` views all sets are tried; of more, the best set grows by the view that helps it most.
    """
    views = range(len(told))

    def best(sets: Iterator[tuple[int, ...]]) -> Chosen:
        tried = [Chosen(each, right(told, each, labels, how)) for each in sets]
        return max(tried, key=lambda one: one.right)

    if len(told) <= EXACT:
        return [best(itertools.combinations(views, count)) for count in range(1, len(told) + 1)]
    found: list[Chosen] = []
    have: tuple[int, ...] = ()
    while len(have) < len(told):
        found.append(best(tuple(sorted((*have, view))) for view in views if view not in have))
        have = found[-1].views
    return found


def right(told: Tensor, views: Sequence[int], labels: Tensor, how: Merge) -> float:
    """The share (0 to 1) of the pictures that a set of views, merged, gets right; labels (N,)."""
    return float((merged(told[list(views)], how).argmax(dim=1) == labels).float().mean())


def pareto(found: Sequence[Chosen]) -> list[Chosen]:
    """Of sets in the order of their cost those that are better than every cheaper one."""
    best = [max(one.right for one in found[: i + 1]) for i in range(len(found))]
    return [one for i, one in enumerate(found) if i == 0 or one.right > best[i - 1]]


def cheapest(found: Sequence[Chosen], within: float = 0.001) -> Chosen:
    """The first set, in the order of their cost, that is no more than `within` below the best."""
    most = max(one.right for one in found)
    return next(one for one in found if one.right >= most - within - 1e-9)


def warnings(names: Sequence[str], told: Tensor, labels: Tensor | None) -> list[str]:
    """A sentence for each view that does harm; the first view is the picture as it is.

    With labels (N,): it gets `LOSES` fewer right than the first, and twice the standard error of that difference.
    Without: it calls more than half of the pictures something else.
    """
    said = told.argmax(dim=2)
    flips = (said != said[0]).float().mean(dim=1)
    if labels is None:
        return [
            f"{name}: {share:.0%} of the pictures are called something else than as they are; whether that is wrong "
            "nobody can tell here, for they have no labels"
            for name, share in zip(names, flips.tolist(), strict=True) if share > 0.5
        ]  # fmt: skip
    hits = said == labels
    lost, won = (hits[0] & ~hits).sum(dim=1), (hits & ~hits[0]).sum(dim=1)
    fewer, error = (lost - won) / hits.shape[1], (lost + won).float().sqrt() / hits.shape[1]
    shares = hits.float().mean(dim=1).tolist()
    return [
        f"{names[i]}: {float(flips[i]):.0%} of the pictures are called something else, and {shares[i]:.1%} are right "
        f"in place of {shares[0]:.1%}"
        for i in range(1, len(names)) if fewer[i] > max(LOSES, 2 * float(error[i]))
    ]  # fmt: skip
