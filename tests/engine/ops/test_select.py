"""Which pseudo-labels a student learns from."""

import pytest
import torch

from engine.ops.pseudo_labels import select

# Class 0 named five times, class 1 twice, class 2 never.
TOLD = torch.tensor([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.6, 0.4, 0.0], [0.7, 0.3, 0.0], [0.45, 0.55, 0.0],
                     [0.99, 0.01, 0.0], [0.5, 0.3, 0.2]])  # fmt: skip


def test_without_balance_all_above_the_threshold_in_their_order():
    assert select(TOLD, 0.5, balance=False).tolist() == [0, 1, 2, 3, 4, 5]  # 0.5 itself is not above
    assert select(TOLD, 0.85, balance=False).tolist() == [0, 5]
    assert select(TOLD, 0.0, balance=False).tolist() == list(range(7))


def test_balance_takes_equally_many_of_each_named_class_the_surest_first_and_repeats_the_few():
    # Six above 0.5, two classes: three each. Class 0 gives its surest three, class 1 begins again.
    assert select(TOLD, 0.5, balance=True).tolist() == [5, 0, 3, 1, 4, 1]


def test_balanced_counts_are_equal_on_random_opinions():
    told = (3 * torch.randn(500, 7, generator=torch.Generator().manual_seed(0))).softmax(1)
    chosen = select(told, 0.6, balance=True)
    counts = torch.bincount(told[chosen].argmax(1), minlength=7)
    assert counts.unique().numel() == 1
    assert (told[chosen].max(1).values > 0.6).all()
    kept = int((told.max(1).values > 0.6).sum())
    assert kept <= len(chosen) < kept + 7


def test_a_threshold_that_keeps_nothing_names_the_surest():
    with pytest.raises(ValueError, match=r"no pseudo-label above 0.995, the surest has 0.990; lower the threshold"):
        select(TOLD, 0.995, balance=True)
    with pytest.raises(ValueError, match="threshold: expected 0"):
        select(TOLD, 1.0, balance=False)
