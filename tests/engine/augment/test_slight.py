"""Slightly other views: which they are, and what they leave alone. And faults in rungs."""

from typing import get_args

import pytest
import torch

from engine.augment.ladder import LADDERS, RUNGS, Rising, moved, rung
from engine.augment.slight import LEAST, slight


def pictures(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_the_first_is_the_picture_the_second_its_mirror_image():
    given = pictures(3, 3, 16, 12)
    seen = slight(given, 2)
    assert torch.equal(seen[:, 0], given)
    assert torch.equal(seen[:, 1], given.flip(-1))


def test_more_views_leave_those_before():
    given = pictures(2, 1, 28, 28)
    assert torch.equal(slight(given, 9)[:, :4], slight(given, 4))
    assert slight(given, 1).shape == (2, 1, 1, 28, 28)


def test_each_shows_a_part_as_large_as_promised_and_stays_in_range():
    """On a ramp from left to right, what a view spans is the share of the side that it shows."""
    ramp = ((torch.arange(100.0) + 0.5) / 100).expand(1, 1, 100, 100)
    for view in slight(ramp, 16)[0]:
        span = float(view.amax() - view.amin()) / 0.99
        assert LEAST - 0.02 <= span <= 1.001
        assert view.min() >= 0
        assert view.max() <= 1


def test_what_is_even_stays_even():
    even = torch.full((1, 3, 20, 20), 0.3)
    torch.testing.assert_close(slight(even, 16), even[:, None].expand(-1, 16, -1, -1, -1))


@pytest.mark.parametrize("kind", LADDERS)
def test_each_rung_is_worse_than_the_one_before(kind):
    smooth = torch.nn.functional.avg_pool2d(pictures(4, 3, 44, 44), 9, 1, 4).sub(0.45).mul(6).clamp(0, 1)
    rungs = [rung(smooth, kind, step, torch.Generator().manual_seed(0)) for step in range(RUNGS)]
    assert torch.equal(rungs[0], smooth)
    away = torch.stack([(one - smooth).abs().mean() for one in rungs])
    if kind == "turned":  # a square turned half way loses more corners than one turned by a right angle
        torch.testing.assert_close(rungs[-1], smooth.rot90(dims=(2, 3)), atol=1e-4, rtol=0)
        away = away[:3]
    assert (away.diff() > 0).all(), away
    assert all(one.shape == smooth.shape and one.min() >= 0 and one.max() <= 1 for one in rungs)


@pytest.mark.parametrize("kind", LADDERS)
def test_labels_move_with_the_picture_and_with_nothing_else(kind):
    labels = torch.zeros(2, 24, 24, dtype=torch.long)
    labels[:, 6:12, 4:14] = 1
    found = moved(labels, kind, 5)
    if kind == "turned":
        assert torch.equal(found, labels.rot90(dims=(1, 2)))
    elif kind == "too near":
        assert torch.equal(found, labels[:, 6:18, 6:18].repeat_interleave(2, 1).repeat_interleave(2, 2))
    else:
        assert torch.equal(found, labels)
    assert torch.equal(moved(labels, kind, 0), labels)
    assert torch.equal(moved(labels[:, 0, 0], kind, 5), labels[:, 0, 0])


def test_what_was_never_seen_has_no_label():
    found = moved(torch.ones(1, 24, 24, dtype=torch.long), "turned", 2)
    assert set(found.unique().tolist()) == {1, 255}


def test_a_rung_that_is_not_there_is_named():
    assert tuple(LADDERS) == get_args(Rising)
    with pytest.raises(ValueError, match="step: expected 0 to 5, got 6"):
        rung(pictures(1, 1, 8, 8), "noisy", 6, torch.Generator())
