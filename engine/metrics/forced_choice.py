r"""Forced choice: can somebody who has seen a few members of a group tell a member from a stranger?

Laina, Fong, Vedaldi. Quantifying Learnability and Describability of Visual Concepts Emerging in Representation
Learning. NeurIPS 2020. arXiv:2010.14551.

A trial shows n members of a group and then a pair, one of which belongs to the group: chance is one half, however large
the groups are. The share of right answers is the group's learnability. Whoever answers is a judge: a person at a page,
or a function of features other than those by which the groups were found, for else it would only repeat them. With
numpy alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Judge = Callable[[np.ndarray, np.ndarray, np.ndarray], int]
"""Features of the examples (n, D) and of the pair, (D,) each -> 0 or 1: which of the two belongs. In place of examples
it may be given a description (see `engine.metrics.describer`). It never learns the number of the group."""


@dataclass(frozen=True)
class Trial:
    """Rows of `references`, members of `group`, and of `pair`; answer: 0 or 1, which of the pair is a member."""

    group: int
    references: tuple[int, ...]
    pair: tuple[int, int]
    answer: int


@dataclass(frozen=True)
class Deal:
    """Trials, and the groups of which there are none because they have too few members."""

    trials: tuple[Trial, ...]
    skipped: tuple[int, ...]


@dataclass(frozen=True)
class Score:
    """asked, right: trials. low, high: see `interval`. groups: the share of right answers of each group that was asked.
    first: the share of answers that named the first of the pair; half, for somebody who does not lean to a side."""

    asked: int
    right: int
    low: float
    high: float
    groups: dict[int, float]
    first: float

    @property
    def share(self) -> float:
        return self.right / self.asked if self.asked else math.nan

    @property
    def mean(self) -> float:
        """The mean over groups: the learnability of the partition."""
        return float(np.mean(list(self.groups.values()))) if self.groups else math.nan

    @property
    def chance(self) -> float:
        """How likely at least as many right answers are by tossing a coin: sum_{k >= right} C(asked, k) / 2^asked."""
        return sum(math.comb(self.asked, k) for k in range(self.right, self.asked + 1)) / 2**self.asked


def deal(
    groups: np.ndarray, trials: int, references: int = 10, seed: int = 0, *, centres: np.ndarray | None = None,
    copies: np.ndarray | None = None,
) -> Deal:  # fmt: skip
    """So many trials over groups (N,) int, -1 for rows of none, in turns over all groups that are large enough.

    Each has its own references and its own pair; the strangers are of any other group, or, where the groups' centres
    (K, D) are given, of the nearest other one: the hard variant. copies (N,): equal numbers for equal pictures, so that
    a stranger is never the picture of a member that is shown. ValueError when no group is large enough.
    """
    if trials < 1 or references < 1:
        raise ValueError(f"trials and references: expected 1 or more, got {trials} and {references}")
    groups = np.asarray(groups)
    draw, names = np.random.default_rng(seed), np.unique(groups[groups >= 0])
    members = {int(name): np.flatnonzero(groups == name) for name in names}
    skipped = tuple(name for name, rows in members.items() if len(rows) < references + 1)
    large = [name for name in members if name not in skipped]
    if not large or len(names) < 2:
        raise ValueError(
            f"groups: none of {len(names)} can be asked about; it takes two groups, and one of {references + 1} "
            "members, one more than the examples that are shown: make fewer groups, or show fewer examples"
        )
    turns = np.concatenate([draw.permutation(large) for _ in range(-(-trials // len(large)))])[:trials]
    dealt = []
    for name in map(int, turns):
        others = _strangers(groups, name, members, centres)
        dealt.append(_trial(name, members[name], others, references, draw, copies))
    return Deal(tuple(dealt), skipped)


def _strangers(
    groups: np.ndarray, name: int, members: dict[int, np.ndarray], centres: np.ndarray | None
) -> np.ndarray:  # fmt: skip
    """Rows that are not of the group called `name`: of all others, or of that with the nearest centre."""
    if centres is None:
        return np.flatnonzero((groups >= 0) & (groups != name))
    away = np.square(centres - centres[name]).sum(axis=1)
    return members[min((other for other in members if other != name), key=lambda other: away[other])]


def _trial(
    name: int, rows: np.ndarray, others: np.ndarray, references: int, draw: np.random.Generator,
    copies: np.ndarray | None,
) -> Trial:  # fmt: skip
    shown = draw.choice(rows, references + 1, replace=False)
    *examples, member = map(int, shown)
    if copies is not None:
        fresh = others[~np.isin(copies[others], copies[shown])]
        others = fresh if len(fresh) else others
    stranger, answer = int(draw.choice(others)), int(draw.integers(2))
    pair = (stranger, member) if answer else (member, stranger)
    return Trial(name, tuple(examples), pair, answer)


def nearest_mean(examples: np.ndarray, one: np.ndarray, two: np.ndarray) -> int:
    """The judge who takes what is nearer to the mean of the examples; the first where both are as near."""
    mean = examples.mean(axis=0)
    return int(np.square(two - mean).sum() < np.square(one - mean).sum())


def answers(
    trials: Sequence[Trial], features: np.ndarray, judge: Judge = nearest_mean, told: np.ndarray | None = None
) -> list[int]:
    """A judge's answer to each trial, by features (N, D). told: what it is given of each group (by number) in place of
    the features of examples."""
    rows = np.asarray(features, np.float64).reshape(len(features), -1)
    given = [rows[list(trial.references)] if told is None else told[trial.group] for trial in trials]
    return [judge(one, rows[trial.pair[0]], rows[trial.pair[1]]) for one, trial in zip(given, trials, strict=True)]


def copies(pictures: np.ndarray) -> np.ndarray:
    """(N,) int64, equal for pictures that look the same to the last pixel, and only for those."""
    told = [hashlib.blake2b(picture.tobytes(), digest_size=8).digest() for picture in pictures]
    return np.frombuffer(b"".join(told), np.int64).copy()


def centres_of(features: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """The mean (count, D) of each group's features; very far off where it has no member."""
    there = [features[groups == group] for group in range(count)]
    return np.stack([rows.mean(axis=0) if len(rows) else np.full(features.shape[1], 1e18) for rows in there])


def score(trials: Sequence[Trial], given: Sequence[int]) -> Score:
    """How the first so many trials were answered."""
    if len(given) > len(trials):
        raise ValueError(f"answers: expected {len(trials)} at most, as many as there are trials, got {len(given)}")
    asked = list(zip(trials, given, strict=False))
    right = [answer == trial.answer for trial, answer in asked]
    groups: dict[int, list[bool]] = {}
    for (trial, _), hit in zip(asked, right, strict=True):
        groups.setdefault(trial.group, []).append(hit)
    low, high = interval(sum(right), len(asked))
    shares = {name: sum(hits) / len(hits) for name, hits in sorted(groups.items())}
    first = sum(answer == 0 for answer in given) / len(given) if given else math.nan
    return Score(len(asked), sum(right), low, high, shares, first)


def interval(right: int, asked: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's interval (1927) for a share of `right` in `asked`: where (p - share)^2 <= z^2 p (1 - p) / asked. All of
    [0, 1] when nothing was asked. z: of a normal distribution; 1.96 for 95 %."""
    if not 0 <= right <= asked:
        raise ValueError(f"right: expected 0 to {asked}, the trials that were asked, got {right}")
    if not asked:
        return 0.0, 1.0
    share, spread = right / asked, z**2 / asked
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / asked + spread / (4 * asked))
    return max(0.0, middle - half), min(1.0, middle + half)
