"""Contrastive losses against loops, closed forms and lightly."""

import math

import pytest
import torch
import torch.nn.functional as F
from lightly.loss import NTXentLoss

from engine.losses.contrastive import info_nce, info_nce_logits, nt_xent


def rows(count: int, width: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def unit(count: int, width: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return F.normalize(rows(count, width, seed, dtype), dim=1)


def test_info_nce_is_its_equation():
    query, key, queue, temperature = unit(4, 6, 0), unit(4, 6, 1), unit(9, 6, 2), 0.2
    total = 0.0
    for q, k in zip(query, key, strict=True):
        positive = math.exp(q @ k / temperature)
        total -= math.log(positive / (positive + sum(math.exp(q @ n / temperature) for n in queue)))
    assert info_nce(query, key, queue, temperature).item() == pytest.approx(total / 4)


def test_info_nce_agrees_with_lightly():
    query, key, queue = (unit(count, 16, seed, torch.float32) for seed, count in enumerate((8, 8, 64)))
    theirs = NTXentLoss(temperature=0.1, memory_bank_size=(64, 16))
    theirs.memory_bank.bank = queue
    torch.testing.assert_close(info_nce(query, key, queue, 0.1), theirs(query, key))


def test_info_nce_gradient_pulls_to_the_key_and_from_the_mixture():
    # dL_i/dq_i = (sum_j p_j k_j - k_i) / temperature, with p over all 1 + K keys.
    query, key, queue, temperature = unit(3, 5, 0).requires_grad_(), unit(3, 5, 1), unit(7, 5, 2), 0.5
    (info_nce(query, key, queue, temperature) * 3).backward()
    p = info_nce_logits(query, key, queue, temperature).softmax(1).detach()
    mixture = p[:, :1] * key + p[:, 1:] @ queue
    torch.testing.assert_close(query.grad, (mixture - key) / temperature)


def test_info_nce_ends():
    query, key = unit(4, 6, 0), unit(4, 6, 1)
    assert info_nce(query, key, key[:0], 0.1).item() == 0
    same = query[:1].expand(50, 6)
    assert info_nce(query[:1], query[:1], same, 0.1).item() == pytest.approx(math.log(51))


def slow_nt_xent(one: torch.Tensor, two: torch.Tensor, temperature: float) -> float:
    views = [v / v.norm() for v in (*one, *two)]
    total = 0.0
    for i, view in enumerate(views):
        partner = (i + len(one)) % len(views)
        others = sum(math.exp(view @ other / temperature) for j, other in enumerate(views) if j != i)
        total -= math.log(math.exp(view @ views[partner] / temperature) / others)
    return total / len(views)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("batch", [2, 7])
def test_nt_xent_is_its_equation_and_lightlys(batch, temperature):
    one, two = rows(batch, 5, 0), rows(batch, 5, 1)
    ours = nt_xent(one, two, temperature)
    assert ours.item() == pytest.approx(slow_nt_xent(one, two, temperature))
    torch.testing.assert_close(ours, NTXentLoss(temperature)(one, two))


def test_nt_xent_closed_forms():
    batch, temperature = 6, 0.3
    same = torch.ones(batch, 4, dtype=torch.float64)
    assert nt_xent(same, same, temperature).item() == pytest.approx(math.log(2 * batch - 1))
    classes = torch.eye(batch, dtype=torch.float64)
    expected = -1 / temperature + math.log(math.exp(1 / temperature) + 2 * batch - 2)
    assert nt_xent(classes, classes, temperature).item() == pytest.approx(expected)


def test_nt_xent_invariances():
    one, two = rows(6, 5, 0).requires_grad_(), rows(6, 5, 1)
    loss = nt_xent(one, two, 0.5)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    stretch = torch.arange(1.0, 7)[:, None].double()
    torch.testing.assert_close(nt_xent(one[order], two[order], 0.5), loss)
    torch.testing.assert_close(nt_xent(two, one, 0.5), loss)
    torch.testing.assert_close(nt_xent(one * stretch, two, 0.5), loss)
    loss.backward()
    torch.testing.assert_close((one.grad * one).sum(1), torch.zeros(6, dtype=torch.float64))


def test_bad_input():
    with pytest.raises(ValueError, match="at least 2 images"):
        nt_xent(torch.ones(1, 3), torch.ones(1, 3), 0.1)
    with pytest.raises(ValueError, match="temperature: expected more than 0, got 0"):
        nt_xent(torch.ones(2, 3), torch.ones(2, 3), 0)
    with pytest.raises(ValueError, match=r"query and key: expected the same shape"):
        info_nce(torch.ones(2, 3), torch.ones(3, 3), torch.ones(4, 3), 0.1)
    with pytest.raises(ValueError, match=r"negatives: expected \(K, 3\), got shape \(4, 2\)"):
        info_nce(torch.ones(2, 3), torch.ones(2, 3), torch.ones(4, 2), 0.1)
