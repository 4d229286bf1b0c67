"""Swapped prediction against loops, its least value, and what is refused."""

import math

import pytest
import torch

from engine.losses.swapped import swapped_prediction


def rows(seed, crops=4):
    dice = torch.Generator().manual_seed(seed)
    return [torch.randn(6, 5, generator=dice) for _ in range(crops)]


def test_it_is_the_sum_that_the_paper_writes():
    scores, codes = rows(0), [each.softmax(dim=1) for each in rows(1, 2)]
    total = 0.0
    for a, code in enumerate(codes):
        inner = 0.0
        for v in set(range(4)) - {a}:
            for b in range(6):
                logs = (scores[v][b] / 0.1).log_softmax(dim=0)
                inner -= sum(code[b, k].item() * logs[k].item() for k in range(5)) / 6
        total += inner / 3
    assert swapped_prediction(scores, codes, 0.1).item() == pytest.approx(total / 2, rel=1e-5)


def test_of_equal_scores_it_is_the_logarithm_of_the_groups():
    codes = [each.softmax(dim=1) for each in rows(1, 2)]
    assert swapped_prediction([torch.ones(6, 5)] * 3, codes, 0.1).item() == pytest.approx(math.log(5))


def test_a_crop_does_not_foretell_itself():
    scores, codes = rows(0, 2), [torch.eye(5)[:1].expand(6, 5)] * 2
    first = swapped_prediction(scores, codes[:1], 0.1)
    changed = swapped_prediction([scores[0] + torch.randn(6, 5), scores[1]], codes[:1], 0.1)
    assert torch.equal(first, changed)


def test_nothing_flows_into_codes():
    codes = [torch.full((6, 5), 0.2, requires_grad=True)]
    scores = [each.requires_grad_() for each in rows(0, 2)]
    swapped_prediction(scores, codes, 0.1).backward()
    assert codes[0].grad is None
    assert scores[1].grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("crops", "codes", "temperature", "said"),
    [(1, 1, 0.1, "got 1 and 1"), (2, 0, 0.1, "got 0 and 2"), (2, 2, 0.0, "temperature: expected more than 0")],
)
def test_what_cannot_be_is_said(crops, codes, temperature, said):
    with pytest.raises(ValueError, match=said):
        swapped_prediction(rows(0, crops), rows(1, codes), temperature)
