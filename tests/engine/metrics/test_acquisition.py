"""Rules of acquisition: BALD against its other form, the ends of ranges, invariances, order and ties."""

import math

import pytest
import torch
import torch.nn.functional as F

from engine.metrics.acquisition import acquisition, highest, margin


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def told(pictures=9, passes=6, classes=4):
    return (2 * torch.randn(pictures, passes, classes, generator=seeded(), dtype=torch.float64)).softmax(dim=2)


def test_bald_is_what_a_label_would_tell_about_the_network():
    """The slow twin: the expected fall of doubt about which pass is right, once the label is known. Each pass is as
    likely as any before, p(t) = 1/T, and p(t | y) = p_t(y) / sum_s p_s(y) after."""
    p = told()
    for picture, found in zip(p.tolist(), acquisition(p, "BALD", seeded()).tolist(), strict=True):
        passes = len(picture)
        gain = math.log(passes)
        for label in range(len(picture[0])):
            chance = sum(each[label] for each in picture) / passes
            posterior = [each[label] / (chance * passes) for each in picture]
            gain += chance * sum(share * math.log(share) for share in posterior)
        assert found == pytest.approx(gain, abs=1e-9)


def test_bald_is_never_above_entropy_and_both_know_their_ends():
    p = told(200)
    bald, entropy = (acquisition(p, rule, seeded()) for rule in ("BALD", "entropy"))
    assert (bald <= entropy + 1e-12).all()
    assert bald.min() >= 0
    clueless = torch.full((1, 5, 4), 0.25)
    torn = F.one_hot(torch.tensor([[0, 1, 2, 3]]), 4).float()
    assert acquisition(clueless, "entropy", seeded()).item() == pytest.approx(math.log(4))
    assert acquisition(clueless, "BALD", seeded()).item() == pytest.approx(0, abs=1e-6)
    assert acquisition(torn, "BALD", seeded()).item() == pytest.approx(math.log(4))


def test_margin_is_the_lead_of_the_likeliest_class_turned_round():
    p = told()
    for picture, found in zip(p.mean(dim=1).tolist(), margin(p).tolist(), strict=True):
        first, second, *_ = sorted(picture, reverse=True)
        assert found == pytest.approx(second - first)
    level = torch.tensor([[[0.5, 0.5, 0.0]], [[1.0, 0.0, 0.0]]])
    assert margin(level).tolist() == [0, -1]


@pytest.mark.parametrize("rule", ["entropy", "margin", "BALD"])
def test_neither_the_order_of_passes_nor_of_classes_matters(rule):
    p = told()
    score = acquisition(p, rule, seeded())
    torch.testing.assert_close(acquisition(p.flip(1), rule, seeded()), score)
    torch.testing.assert_close(acquisition(p.flip(2), rule, seeded()), score)
    torch.testing.assert_close(acquisition(p.flip(0), rule, seeded()), score.flip(0))
    torch.testing.assert_close(acquisition(p.repeat(1, 3, 1), rule, seeded()), score)


def test_random_asks_for_everything_alike():
    p, times = told(20), 4000
    generator = seeded()
    counts = torch.zeros(20)
    for _ in range(times):
        counts[highest(acquisition(p, "random", generator), 5)] += 1
    expected = times * 5 / 20
    # The sum of squared standardised counts has 19 degrees of freedom (less, for they are drawn without return).
    assert ((counts - expected).square() / expected).sum() < 44  # exceeded by chance once in a thousand


def test_the_highest_come_first_and_among_equals_the_earlier():
    assert highest(torch.tensor([0.1, 0.9, 0.5, 0.9, 0.5]), 4).tolist() == [1, 3, 2, 4]


def test_what_cannot_be_is_named():
    with pytest.raises(ValueError, match="count: expected 1 to 3, the pictures that are left to ask, got 4"):
        highest(torch.zeros(3), 4)
    with pytest.raises(ValueError, match="scores: some are not numbers"):
        highest(torch.tensor([0.1, math.nan]), 1)
    with pytest.raises(ValueError, match="rule: 'guess' is not one of random, entropy, margin, BALD"):
        acquisition(told(), "guess", seeded())
