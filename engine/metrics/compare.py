"""Is one model better than another on the same pictures? Paired answers, McNemar's test, a bootstrapped interval.

Only the pictures on which exactly one of the two is right can tell them apart. NumPy alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

EXACT = 1000
"""Discordant pairs up to which the binomial distribution is summed; above, its chi-square approximation is as good."""
SURE = 0.05


@dataclass(frozen=True)
class Pairs:
    """How two models A and B answered the same N pictures, counted. apart: both wrong, with different answers."""

    both: int
    only_a: int
    only_b: int
    neither: int
    apart: int

    @property
    def count(self) -> int:
        return self.both + self.only_a + self.only_b + self.neither

    @property
    def accuracies(self) -> tuple[float, float]:
        """Shares of right answers of A and of B."""
        return (self.both + self.only_a) / self.count, (self.both + self.only_b) / self.count

    @property
    def gain(self) -> float:
        """Accuracy of B less that of A."""
        return (self.only_b - self.only_a) / self.count


def count_pairs(a: np.ndarray, b: np.ndarray, truth: np.ndarray) -> Pairs:
    """a, b, truth: labels (N,). ValueError when they are not of one length or empty."""
    if not a.shape == b.shape == truth.shape or truth.ndim != 1 or not len(truth):
        raise ValueError(f"answers: expected one row of labels each, of one length, got {a.shape}, {b.shape} and truth "
                         f"{truth.shape}")  # fmt: skip
    right_a, right_b = a == truth, b == truth
    wrong = ~right_a & ~right_b
    counts = (right_a & right_b, right_a & ~right_b, right_b & ~right_a, wrong, wrong & (a != b))
    return Pairs(*(int(one.sum()) for one in counts))


def mcnemar(only_a: int, only_b: int) -> float:
    """p: the chance of a split at least as uneven as this, if A and B were equally good (McNemar 1947), two-sided.

    only_a, only_b: pictures on which only A, only B is right. Exact (binomial) up to `EXACT` of them in all, above that
    by chi-square with one degree of freedom and Edwards' continuity correction.
    """
    if only_a < 0 or only_b < 0:
        raise ValueError(f"counts: expected 0 or more, got {only_a} and {only_b}")
    total, fewer = only_a + only_b, min(only_a, only_b)
    if total <= EXACT:
        tail = sum(math.comb(total, k) for k in range(fewer + 1))
        return min(1.0, 2 * tail / 2**total)
    statistic = max(0, abs(only_a - only_b) - 1) ** 2 / total
    return math.erfc(math.sqrt(statistic / 2))


def gain_interval(pairs: Pairs, seed: int = 0, resamples: int = 10_000, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of `pairs.gain`: the N pictures drawn N times with replacement, `resamples` times.

    A picture counts -1, 0 or 1, so that drawing pictures is drawing the three counts from a multinomial distribution.
    """
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(f"expected resamples of 1 or more and a level between 0 and 1, got {resamples} and {level}")
    shares = np.array([pairs.only_a, pairs.only_b, pairs.both + pairs.neither]) / pairs.count
    drawn = np.random.default_rng(seed).multinomial(pairs.count, shares, size=resamples)
    gains = (drawn[:, 1] - drawn[:, 0]) / pairs.count
    low, high = np.quantile(gains, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def verdict(pairs: Pairs, first: str = "A", second: str = "B") -> str:
    """What the numbers say, in two sentences."""
    better, worse, more, fewer = first, second, pairs.only_a, pairs.only_b
    if pairs.only_b > pairs.only_a:
        better, worse, more, fewer = second, first, pairs.only_b, pairs.only_a
    if not more:
        return f"{first} and {second} are right on the same {pairs.both:,} of {pairs.count:,} pictures: nothing tells "\
               "them apart."  # fmt: skip
    p, (low, high) = mcnemar(pairs.only_a, pairs.only_b), gain_interval(pairs)
    chance = "p < .001" if p < 0.001 else f"p = {p:.{3 if p < 0.1 else 2}f}".replace(" 0.", " .")
    if more == fewer:
        end = "neither is ahead."
    elif p < SURE:
        end = f"so uneven a split is rare where both are equally good: {better} is better on such pictures."
    else:
        end = f"that can well be luck: more test pictures would show whether {better} is better."
    shares = f"{first} has {pairs.accuracies[0]:.1%} right and {second} {pairs.accuracies[1]:.1%}"
    return (
        f"{better} is right on {more:,} pictures that {worse} misses, {worse} on {fewer:,} that {better} misses "
        f"(McNemar's test: {chance}); {end} Of {pairs.count:,} pictures {shares}: "
        f"a difference of {100 * pairs.gain:+.1f} points "
        f"(95 % interval {100 * low:+.1f} to {100 * high:+.1f})."
    )
