"""Soft neighbours, sharpening and mean entropy against loops, their limits, and what is refused."""

import math

import pytest
import torch
from torch.nn import functional as F

from engine.losses.soft_neighbours import cross_entropy, mean_entropy, sharpened, soft_neighbour

DICE = torch.Generator().manual_seed(0)
Z, SUPPORTS = torch.randn(5, 8, generator=DICE), torch.randn(6, 8, generator=DICE)
LABELS = F.one_hot(torch.tensor([0, 1, 2, 0, 1, 2]), 3).float()


def test_a_picture_is_what_its_neighbours_are():
    told = soft_neighbour(Z, SUPPORTS, LABELS, 0.1)
    for z, row in zip(Z, told, strict=True):
        weights = [math.exp(F.cosine_similarity(z, support, dim=0) / 0.1) for support in SUPPORTS]
        slow = [sum(w for w, label in zip(weights, LABELS, strict=True) if label[c]) / sum(weights) for c in range(3)]
        torch.testing.assert_close(row, torch.tensor(slow), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(told.sum(dim=1), torch.ones(5))


def test_lengths_do_not_count_and_gradients_reach_the_supports():
    torch.testing.assert_close(
        soft_neighbour(3 * Z, SUPPORTS / 2, LABELS, 0.1), soft_neighbour(Z, SUPPORTS, LABELS, 0.1)
    )
    supports = SUPPORTS.clone().requires_grad_()
    soft_neighbour(Z, supports, LABELS, 0.1)[:, 0].sum().backward()
    assert supports.grad.abs().sum() > 0


def test_one_support_a_class_at_right_angles():
    told = soft_neighbour(torch.eye(3), torch.eye(3), torch.eye(3), 0.5)
    torch.testing.assert_close(told, (torch.eye(3) / 0.5).softmax(dim=1))


@pytest.mark.parametrize("temperature", [0.25, 0.5, 1.0])
def test_sharpening_is_a_power(temperature):
    rows = torch.rand(4, 3, generator=DICE).softmax(dim=1)
    powered = rows ** (1 / temperature)
    torch.testing.assert_close(sharpened(rows, temperature), powered / powered.sum(dim=1, keepdim=True))


def test_sharpened_towards_its_first_choice_and_tiny_shares_are_nothing():
    assert sharpened(torch.tensor([[0.5, 0.3, 0.2]]), 0.01).tolist() == [[1, 0, 0]]
    assert sharpened(torch.tensor([[0.95, 0.05, 0.0]]), 0.25)[0, 1:].tolist() == [0, 0]


def test_the_mean_entropy_is_that_of_the_mean():
    assert mean_entropy(torch.eye(4)).item() == pytest.approx(math.log(4))
    assert mean_entropy(torch.eye(4)[:1].expand(4, 4)).item() == 0
    rows = torch.rand(4, 3, generator=DICE).softmax(dim=1)
    mean = rows.mean(dim=0).tolist()
    assert mean_entropy(rows).item() == pytest.approx(-sum(p * math.log(p) for p in mean), rel=1e-5)


def test_cross_entropy_takes_what_is_wanted_as_given():
    told = torch.tensor([[0.5, 0.5], [0.9, 0.1]], requires_grad=True)
    wanted = torch.tensor([[1.0, 0.0], [0.5, 0.5]], requires_grad=True)
    loss = cross_entropy(told, wanted)
    assert loss.tolist() == pytest.approx([math.log(2), -(math.log(0.9) + math.log(0.1)) / 2], rel=1e-5)
    loss.sum().backward()
    assert wanted.grad is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"labels": torch.eye(3)[torch.tensor([0, 0, 0, 1, 1, 1])]}, "class 2 has no support"),
        ({"temperature": 0.0}, "temperature: expected more than 0"),
        ({"z": torch.zeros(2, 3)}, r"got \(2, 3\)"),
    ],
    ids=["class", "temperature", "width"],
)
def test_what_cannot_be_is_said(given, said):
    with pytest.raises(ValueError, match=said):
        soft_neighbour(**({"z": Z, "supports": SUPPORTS, "labels": LABELS, "temperature": 0.1} | given))
