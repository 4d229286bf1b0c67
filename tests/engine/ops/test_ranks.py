"""Places: exact ones against sorting, soft ones against exact ones, the correlation against scipy."""

import pytest
import torch
from scipy.stats import rankdata, spearmanr

from engine.ops.ranks import ranks, soft_ranks, spearman


def rows(count=5, length=12, seed=0):
    return torch.randn(count, length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_places_are_those_of_sorting_and_equals_share_theirs():
    values = rows()
    assert torch.equal(ranks(values).long(), values.argsort(descending=True).argsort() + 1)
    tied = torch.tensor([3.0, 1.0, 3.0, 2.0, 1.0, 1.0])
    assert ranks(tied).tolist() == rankdata(-tied.numpy()).tolist() == [1.5, 5, 1.5, 3, 5, 5]


@pytest.mark.parametrize("temperature", [1e-3, 0.3, 10.0])
def test_soft_places_add_up_and_follow_their_values(temperature):
    values = rows()
    soft = soft_ranks(values, temperature)
    torch.testing.assert_close(soft.sum(dim=1), torch.full((5,), 12 * 13 / 2, dtype=torch.float64))
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(soft_ranks(values[:, order], temperature), soft[:, order])
    assert torch.equal(soft.argsort(dim=1), values.argsort(dim=1, descending=True))
    torch.testing.assert_close(soft_ranks(values + 5, temperature), soft)


def test_soft_places_become_exact_as_the_temperature_falls():
    values = rows()
    errors = [(soft_ranks(values, t) - ranks(values)).abs().max().item() for t in (1.0, 0.1, 0.01, 1e-5)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-6


def test_raising_a_value_raises_its_place():
    values = rows(1).requires_grad_()
    soft_ranks(values, 0.3)[0, 4].backward()
    assert values.grad[0, 4] < 0
    assert (values.grad[0, torch.arange(12) != 4] > 0).all()


def test_the_correlation_is_scipys():
    one, two = rows(), rows(seed=1)
    two[0, :3] = two[0, 3]  # equals
    for a, b, found in zip(one, two, spearman(one, two), strict=True):
        assert found.item() == pytest.approx(spearmanr(a.numpy(), b.numpy()).statistic)
    a, b = ranks(one[1]), ranks(two[1])
    assert spearman(one[1], two[1]).item() == pytest.approx(1 - 6 * (a - b).square().sum().item() / (12 * 143))
    assert spearman(one, one).tolist() == pytest.approx([1] * 5)
    assert spearman(one, -one).tolist() == pytest.approx([-1] * 5)
    assert spearman(one, torch.zeros_like(one)).tolist() == [0] * 5


def test_what_cannot_be_is_named():
    with pytest.raises(ValueError, match="temperature: expected more than 0, got 0"):
        soft_ranks(rows(), 0)
    with pytest.raises(ValueError, match="rows of the same shape"):
        spearman(rows(), rows(length=3))
