"""The network of 26 manners: against its definition written out, and what its manners and mixtures do to a picture."""

import pytest
import torch

from engine.data.pictures import picture
from engine.nets.manners import EPSILON, MANNERS, ConditionalNorm, Manners, mixed

CAT = picture("chelsea", 64)[None] / 255


@pytest.fixture(scope="module")
def net():
    return Manners()


def test_conditional_normalisation_is_the_equation_channel_by_channel():
    norm, seeded = ConditionalNorm(3), torch.Generator().manual_seed(0)
    for own in (norm.gamma, norm.beta):
        own.data = torch.randn(own.shape, generator=seeded)
    maps = torch.randn(2, 3, 5, 4, generator=seeded)
    told = norm(maps, torch.cat([mixed(4, 0, 0), mixed(7, 9, 0.25)]))
    scales = [norm.gamma[4], 0.75 * norm.gamma[7] + 0.25 * norm.gamma[9]]
    shifts = [norm.beta[4], 0.75 * norm.beta[7] + 0.25 * norm.beta[9]]
    for i in range(2):
        for c in range(3):
            x = maps[i, c]
            spread = ((x - x.mean()).square().mean() + EPSILON).sqrt()
            torch.testing.assert_close(told[i, c], scales[i][c] * (x - x.mean()) / spread + shifts[i][c])


def test_a_mixture_begins_and_ends_with_its_manners_and_lies_between():
    torch.testing.assert_close(mixed(3, 5, 0.0), torch.eye(MANNERS)[3:4])
    torch.testing.assert_close(mixed(3, 5, 1.0), torch.eye(MANNERS)[5:6])
    assert mixed(3, 3, 0.4)[0, 3] == pytest.approx(1)


@torch.no_grad()
def test_each_picture_is_painted_on_its_own_and_keeps_its_size(net):
    pictures = torch.cat([CAT, picture("coffee", 64)[None] / 255])
    mixture = torch.cat([mixed(0, 0, 0), mixed(19, 0, 0)])
    both = net(pictures, mixture)
    for i in range(2):
        torch.testing.assert_close(both[i : i + 1], net(pictures[i : i + 1], mixture[i : i + 1]), atol=1e-4, rtol=1e-3)
    for side in (20, 33, 50):
        assert net(pictures[..., :side, : side + 1], mixture).shape == (2, 3, side, side + 1)
    assert 0 <= both.min() < both.max() <= 1


@torch.no_grad()
def test_manners_differ_and_keep_what_the_picture_shows(net):
    """Every manner's lights and darks follow the picture that is painted more than they follow another."""
    pictures = [CAT, picture("coffee", 64)[None] / 255]
    painted = [net(each.expand(MANNERS, -1, -1, -1), torch.eye(MANNERS)) for each in pictures]
    greys = [torch.nn.functional.avg_pool2d(each.mean(dim=1, keepdim=True), 4) for each in (*pictures, *painted)]
    alike = torch.corrcoef(torch.cat(greys).flatten(1))[:2, 2:].unflatten(1, (2, MANNERS))
    assert (alike[0, 0] > alike[0, 1]).all()
    assert (alike[1, 1] > alike[1, 0]).all()
    told = painted[0]
    apart = torch.cdist(told.flatten(1), told.flatten(1)) / told[0].numel() ** 0.5
    assert apart[~torch.eye(MANNERS, dtype=torch.bool)].min() > 0.05


@torch.no_grad()
def test_half_way_between_two_manners_is_nearer_to_both_than_they_are_to_each_other(net):
    one, half, other = (net(CAT, mixed(0, 19, share)) for share in (0.0, 0.5, 1.0))
    apart = (one - other).norm()
    assert (one - half).norm() < apart
    assert (half - other).norm() < apart
