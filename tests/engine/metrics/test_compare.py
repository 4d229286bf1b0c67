"""McNemar's test against SciPy and the formula by hand, the bootstrap against the normal approximation."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest, chi2

from engine.metrics.compare import EXACT, Pairs, count_pairs, gain_interval, mcnemar, verdict


def test_pairs_are_counted_one_picture_at_a_time():
    draw = np.random.default_rng(0)
    a, b, truth = draw.integers(0, 4, (3, 300))
    counts = dict.fromkeys(("both", "only_a", "only_b", "neither", "apart"), 0)
    for i in range(300):
        right = (a[i] == truth[i], b[i] == truth[i])
        counts[{(1, 1): "both", (1, 0): "only_a", (0, 1): "only_b", (0, 0): "neither"}[right]] += 1
        counts["apart"] += not any(right) and a[i] != b[i]
    pairs = count_pairs(a, b, truth)
    assert vars(pairs) == counts
    assert pairs.count == 300
    assert pairs.gain == pytest.approx((b == truth).mean() - (a == truth).mean())
    assert pairs.accuracies == pytest.approx(((a == truth).mean(), (b == truth).mean()))


def test_answers_of_another_length_are_refused():
    with pytest.raises(ValueError, match="of one length"):
        count_pairs(np.zeros(3), np.zeros(4), np.zeros(3))
    with pytest.raises(ValueError, match="of one length"):
        count_pairs(np.zeros(0), np.zeros(0), np.zeros(0))


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (0, 5), (11, 23), (30, 30), (98, 156), (400, 600), (0, EXACT)])
def test_few_pairs_are_tested_exactly(b, c):
    expected = binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
    assert mcnemar(b, c) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(b, c) == mcnemar(c, b)


@pytest.mark.parametrize(("b", "c"), [(700, 701), (900, 901), (1000, 1100), (4000, 4400)])
def test_many_pairs_are_tested_by_chi_square_with_continuity_correction(b, c):
    by_hand = (abs(b - c) - 1) ** 2 / (b + c)
    assert mcnemar(b, c) == pytest.approx(chi2.sf(by_hand, 1), rel=1e-9)
    assert mcnemar(b, c) == pytest.approx(binomtest(b, b + c, 0.5).pvalue, rel=0.02)


def test_mcnemar_of_an_even_split_is_one_and_negative_counts_are_refused():
    assert mcnemar(600, 600) == 1.0
    with pytest.raises(ValueError, match="expected 0 or more, got -1 and 3"):
        mcnemar(-1, 3)


def test_the_interval_is_the_normal_one_where_there_are_many_pictures():
    pairs = Pairs(both=60_000, only_a=9_000, only_b=11_000, neither=20_000, apart=0)
    n, spread = pairs.count, (pairs.only_a + pairs.only_b) / pairs.count - pairs.gain**2
    reach = 1.959964 * math.sqrt(spread / n)
    low, high = gain_interval(pairs, resamples=100_000)
    assert (low, high) == pytest.approx((pairs.gain - reach, pairs.gain + reach), abs=0.03 * reach)


def test_the_interval_is_that_of_drawing_picture_by_picture():
    pairs = Pairs(both=20, only_a=6, only_b=14, neither=10, apart=3)
    each = np.array([0] * 30 + [-1] * 6 + [1] * 14)
    drawn = np.random.default_rng(1).choice(each, (40_000, len(each)))
    slow = np.quantile(drawn.mean(1), [0.025, 0.975])
    assert gain_interval(pairs, resamples=40_000) == pytest.approx(tuple(slow), abs=1 / 50 + 1e-9)


def test_the_interval_is_the_same_for_the_same_seed_and_turns_with_the_order():
    pairs, turned = Pairs(50, 11, 23, 16, 4), Pairs(50, 23, 11, 16, 4)
    assert gain_interval(pairs, seed=3) == gain_interval(pairs, seed=3)
    low, high = gain_interval(pairs)
    assert low < pairs.gain < high
    assert gain_interval(turned) == pytest.approx((-high, -low), abs=0.02)
    assert gain_interval(Pairs(5, 0, 0, 5, 0)) == (0.0, 0.0)
    with pytest.raises(ValueError, match="got 0 and 0"):
        gain_interval(pairs, resamples=0)


def test_the_verdict_says_who_is_ahead_and_whether_it_may_be_luck():
    says = verdict(Pairs(50, 11, 23, 16, 4))
    assert says.startswith("B is right on 23 pictures that A misses, A on 11 that B misses (McNemar's test: p = .058)")
    assert "can well be luck" in says
    assert "A has 61.0% right and B 73.0%: a difference of +12.0 points" in says
    says = verdict(Pairs(500, 100, 20, 16, 4), "first", "second")
    assert says.startswith("first is right on 100 pictures that second misses")
    assert "p < .001" in says
    assert "first is better on such pictures" in says
    assert "nothing tells them apart" in verdict(Pairs(5, 0, 0, 5, 2))
    assert "neither is ahead" in verdict(Pairs(5, 3, 3, 5, 2))
