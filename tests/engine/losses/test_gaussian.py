import math

import pytest
import torch
from torch.distributions import Normal

from engine.losses.gaussian import gaussian_nll, mixture


def test_it_is_the_density_of_the_normal_distribution():
    mean, variance, target = torch.rand(3, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.1
    expected = -Normal(mean, variance.sqrt()).log_prob(target)
    torch.testing.assert_close(gaussian_nll(mean, variance, target), expected)


def test_it_is_proper_the_true_moments_score_best():
    target = 2 + 3 * torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    best = gaussian_nll(torch.tensor(2.0), torch.tensor(9.0), target).mean()
    for mean, variance in ((2.0, 4.0), (2.0, 16.0), (1.0, 9.0), (3.0, 9.0)):
        assert gaussian_nll(torch.tensor(mean), torch.tensor(variance), target).mean() > best + 0.01
    assert best.item() == pytest.approx(0.5 * math.log(2 * math.pi * math.e * 9), abs=0.01)


def test_a_mixture_has_the_moments_of_its_samples():
    mean, variance = torch.tensor([[-2.0], [0.0], [5.0]]), torch.tensor([[1.0], [4.0], [0.25]])
    generator = torch.Generator().manual_seed(0)
    drawn = (mean + variance.sqrt() * torch.randn(3, 300_000, generator=generator)).flatten()
    found = mixture(mean, variance)
    assert found[0].item() == pytest.approx(drawn.mean().item(), abs=0.02)
    assert found[1].item() == pytest.approx(drawn.var().item(), rel=0.01)


def test_networks_that_agree_are_one():
    mean, variance = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.5])
    found = mixture(mean.expand(4, 2), variance.expand(4, 2))
    torch.testing.assert_close(found, (mean, variance))
