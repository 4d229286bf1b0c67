"""Sinkhorn's codes: against the published loop, their sums, their limits, and what is refused."""

import pytest
import torch

from engine.ops.sinkhorn import sinkhorn


def published(scores, epsilon, iterations):
    """The loop as the paper writes it, prototypes in rows."""
    q = (scores.double() / epsilon).exp().T
    q /= q.sum()
    for _ in range(iterations):
        q /= q.sum(dim=1, keepdim=True) * q.shape[0]
        q /= q.sum(dim=0, keepdim=True) * q.shape[1]
    return (q * q.shape[1]).T


@pytest.fixture
def scores():
    return torch.rand(12, 5, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("iterations", [1, 3, 10])
@pytest.mark.parametrize("epsilon", [0.05, 0.5])
def test_codes_are_those_of_the_published_loop(scores, epsilon, iterations):
    wanted = published(scores, epsilon, iterations)
    torch.testing.assert_close(sinkhorn(scores, epsilon, iterations).double(), wanted, atol=1e-6, rtol=1e-5)


def test_rows_sum_to_one_and_columns_ever_more_to_their_share(scores):
    off = [(sinkhorn(scores, 0.05, n).sum(dim=0) - 12 / 5).abs().max().item() for n in (1, 3, 10, 100)]
    assert off == sorted(off, reverse=True)
    assert off[-1] < 1e-4
    torch.testing.assert_close(sinkhorn(scores).sum(dim=1), torch.ones(12))


def test_no_iteration_is_a_softmax_and_a_soft_epsilon_is_uniform(scores):
    torch.testing.assert_close(sinkhorn(scores, 0.3, 0), (scores / 0.3).softmax(dim=1))
    torch.testing.assert_close(sinkhorn(scores, 1e6), torch.full((12, 5), 0.2), atol=1e-4, rtol=0)


def test_a_constant_changes_nothing_and_large_scores_do_not_overflow(scores):
    torch.testing.assert_close(sinkhorn(scores + 3), sinkhorn(scores), atol=1e-5, rtol=1e-4)
    assert sinkhorn(scores * 1e4).isfinite().all()


def test_where_one_column_wins_everywhere_the_others_still_get_their_share():
    scores = torch.zeros(10, 5)
    scores[:, 0] = 1
    scores += 0.01 * torch.rand(10, 5, generator=torch.Generator().manual_seed(0))
    assert sinkhorn(scores, 0.05, 0)[:, 0].min() > 0.99
    torch.testing.assert_close(sinkhorn(scores, 0.05, 50).sum(dim=0), torch.full((5,), 2.0), atol=1e-2, rtol=0)


def test_nothing_flows_through_codes(scores):
    assert not sinkhorn(scores.requires_grad_()).requires_grad


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epsilon": 0.0}, "epsilon: expected more than 0"),
        ({"iterations": -1}, "iterations: expected 0 or more"),
        ({"scores": torch.zeros(3)}, "expected \\(B, K\\)"),
        ({"scores": torch.full((2, 2), float("nan"))}, "some are not numbers"),
    ],
    ids=["epsilon", "iterations", "shape", "nan"],
)
def test_what_cannot_be_is_said(scores, given, said):
    with pytest.raises(ValueError, match=said):
        sinkhorn(**({"scores": scores} | given))
