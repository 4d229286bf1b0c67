"""Collapse detectors at both ends: everything in one place, and spread as evenly as can be."""

import math

import pytest
import torch
import torch.nn.functional as F

from engine.metrics.embedding import (
    alignment,
    effective_rank,
    feature_deviation,
    principal_components,
    uniformity,
)

SPHERE = F.normalize(torch.randn(3000, 16, generator=torch.Generator().manual_seed(0)), dim=1)
COLLAPSED = torch.ones(50, 16)


def test_collapse_is_seen_by_all():
    assert effective_rank(COLLAPSED).item() == pytest.approx(1)
    assert feature_deviation(COLLAPSED).item() == pytest.approx(0, abs=1e-6)
    assert uniformity(COLLAPSED).item() == pytest.approx(0, abs=1e-6)


def test_effective_rank_counts_directions():
    line = torch.randn(100, 1, generator=torch.Generator().manual_seed(1)) * torch.arange(1.0, 9)
    assert effective_rank(line).item() == pytest.approx(1, abs=1e-4)
    for rank in (2, 5):  # cross-polytopes: equal variance along each of `rank` axes
        corners = torch.cat((torch.eye(rank), -torch.eye(rank)))
        assert effective_rank(F.pad(corners, (0, 8 - rank))).item() == pytest.approx(rank)
    assert effective_rank(SPHERE) > 15.9


def test_effective_rank_does_not_mind_rotation_shift_or_scale():
    features = SPHERE[:200] * torch.arange(1.0, 17)
    turn = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(2))).Q
    torch.testing.assert_close(effective_rank(features @ turn * 5 + 3), effective_rank(features), atol=1e-3, rtol=1e-4)


def test_effective_rank_is_its_definition():
    features = SPHERE[:200] * torch.arange(1.0, 17)
    spectrum = torch.linalg.svdvals(features.double() - features.double().mean(0)) ** 2
    share = spectrum / spectrum.sum()
    assert effective_rank(features).item() == pytest.approx(math.exp(-(share * share.log()).sum()), rel=1e-4)


def test_deviation_of_an_even_spread_is_one_over_root_width():
    assert feature_deviation(SPHERE * 7).item() == pytest.approx(1 / 4, rel=0.02)


def test_alignment_ends():
    assert alignment(SPHERE, SPHERE * 3).item() == pytest.approx(0, abs=1e-6)
    assert alignment(SPHERE, -SPHERE).item() == pytest.approx(4)
    apart = alignment(torch.tensor([[1.0, 0], [0, 2]]), torch.tensor([[0.0, 1], [0, 1]]))
    assert apart.item() == pytest.approx((2 + 0) / 2)


def test_uniformity_is_its_loop_and_prefers_the_even():
    few = SPHERE[:20]
    terms = [math.exp(-2 * (few[i] - few[j]).square().sum()) for i in range(20) for j in range(i)]
    assert uniformity(few).item() == pytest.approx(math.log(sum(terms) / len(terms)), rel=1e-4)
    assert uniformity(SPHERE) < uniformity(SPHERE.abs())


def test_bad_input():
    with pytest.raises(ValueError, match=r"\(N, D\) with N >= 2, got shape \(1, 16\)"):
        effective_rank(SPHERE[:1])
    with pytest.raises(ValueError, match="same shape"):
        alignment(SPHERE, SPHERE[:5])


def test_principal_components_are_scikit_learns():
    from sklearn.decomposition import PCA

    features = SPHERE[:200] * torch.arange(1.0, 17)
    places, share = principal_components(features)
    known = PCA().fit(features.double().numpy())
    torch.testing.assert_close(share, torch.tensor(known.explained_variance_ratio_).float(), atol=1e-5, rtol=1e-4)
    theirs = torch.tensor(known.transform(features.double().numpy())).float()
    torch.testing.assert_close(places.abs(), theirs.abs(), atol=2e-3, rtol=1e-3)  # a component's sign is free


def test_principal_components_of_one_place_vary_nowhere():
    places, share = principal_components(COLLAPSED)
    assert not places.any()
    assert not share.any()
