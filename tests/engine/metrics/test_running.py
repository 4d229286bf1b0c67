"""The doubts after every number of answers, against those of just so many, and against closed forms."""

import math

import pytest
import torch

from engine.metrics.doubts import doubts
from engine.metrics.running import DOUBTS, after, running, settling


def told(*shape):
    return (3 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))).softmax(dim=2)


@pytest.mark.parametrize("shape", [(5, 7, 4), (2, 6, 3, 4, 5)], ids=["pictures", "pixels"])
def test_each_is_what_the_first_so_many_say(shape):
    given = told(*shape)
    found = running(given)
    for count in range(2, shape[1] + 1):
        now, anew = after(found, count), doubts(given[:, :count])
        torch.testing.assert_close(now["mean"], given[:, :count].mean(dim=1))
        for name in DOUBTS:
            torch.testing.assert_close(now[name], anew[name], atol=2e-6, rtol=1e-5)


def test_a_single_answer_agrees_with_itself():
    given = told(5, 7, 4)
    now = after(running(given), 1)
    assert now["epistemic"].max() == 0
    torch.testing.assert_close(now["total"], torch.special.entr(given[:, 0]).sum(dim=1))


def test_more_than_all_is_all():
    found = running(told(5, 7, 4))
    assert torch.equal(after(found, 99)["total"], after(found, 7)["total"])


def test_answers_that_are_sure_and_differ_are_all_epistemic():
    """t sure votes, each for a class of its own: the mean is uniform over t classes, so total = epistemic = log t."""
    found = running(torch.eye(6)[None])
    for count in range(1, 7):
        now = after(found, count)
        assert now["total"].item() == pytest.approx(math.log(count), abs=1e-6)
        assert now["epistemic"].item() == pytest.approx(math.log(count), abs=1e-6)
        assert now["aleatoric"].item() == 0


def test_answers_that_all_hesitate_are_all_aleatoric():
    now = after(running(torch.full((1, 4, 8), 1 / 8)), 3)
    assert now["aleatoric"].item() == pytest.approx(math.log(8))
    assert now["epistemic"].item() == pytest.approx(0, abs=1e-6)


def test_settling_averages_over_pictures_and_pixels():
    found = running(told(2, 6, 3, 4, 5))
    lines = settling(found)
    assert lines["total"][:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    for name in DOUBTS:
        assert lines[name][3, 1].item() == pytest.approx(found[name][:, 3].mean().item(), rel=1e-5)
