import pytest
import torch

from engine.losses.ranking import ranking_loss


def rows(count=6, length=12, seed=0):
    return torch.randn(count, length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_its_definition():
    scores, losses = rows(), rows(seed=1).exp()
    found = ranking_loss(scores, losses, 0.3, 0.02)
    for s, truth, value in zip(scores.tolist(), losses.tolist(), found.tolist(), strict=True):
        total = 0.0
        for j in range(12):
            soft = 0.5 + sum(1 / (1 + pow(2.718281828459045, (s[j] - s[k]) / 0.3)) for k in range(12))
            place = 1 + sum(other < truth[j] for other in truth)
            error = ((soft - place) / 12) ** 2
            total += error if error >= 0.02 else 0.0
        assert value == pytest.approx(total / 12)


def test_the_right_order_costs_nothing_and_the_reverse_the_most():
    losses = rows(seed=1).exp()
    right, wrong = (ranking_loss(sign * losses, losses, 1e-4, 0.0) for sign in (-1, 1))
    assert right.max() < 1e-6
    others = ranking_loss(rows(), losses, 1e-4, 0.0)
    assert (others < wrong + 1e-9).all()


def test_views_that_are_all_alike_teach_nothing():
    scores = torch.zeros(3, 12, requires_grad=True)
    loss = ranking_loss(scores, torch.full((3, 12), 0.7), 0.3, 0.0)
    assert loss.abs().max() < 1e-6
    loss.sum().backward()
    assert scores.grad.abs().max() < 1e-6


def test_it_teaches_the_order():
    losses = rows(1, seed=1).exp()
    scores = rows(1).float().requires_grad_()
    optimizer = torch.optim.Adam([scores], 0.05)
    for _ in range(200):
        optimizer.zero_grad()
        ranking_loss(scores, losses, 0.3, 0.0).sum().backward()
        optimizer.step()
    assert torch.equal(scores.argsort(dim=1), losses.argsort(dim=1, descending=True))


def test_one_loss_a_view_is_wanted():
    with pytest.raises(ValueError, match="losses: expected one for each of 12 views"):
        ranking_loss(rows(), rows(length=3), 0.3, 0.0)
