"""t-SNE against slow definitions and against scikit-learn's divergence."""

import math

import pytest
import torch
from sklearn.manifold import TSNE

from engine.maps import tsne
from engine.maps.tsne import TsneParams, divergence, fit, gradient, similarities

FEATURES = torch.randn(40, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
PLACES = torch.randn(40, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
P = similarities(torch.cdist(FEATURES, FEATURES).square(), 8.0)


def test_each_point_has_the_wished_perplexity():
    """P is symmetric, so the conditional parts are found again by the loop over precisions that gives the entropy."""
    squared = torch.cdist(FEATURES, FEATURES).square()
    rows = torch.zeros(40, 40, dtype=torch.float64)
    for i in range(40):
        others = [j for j in range(40) if j != i]
        low, high = 0.0, 100.0
        for _ in range(100):
            middle = (low + high) / 2
            rows[i, others] = (-middle * squared[i, others]).softmax(dim=0)
            wide = -(rows[i, others] * rows[i, others].log()).sum().item() > math.log(8)
            low, high = (middle, high) if wide else (low, middle)
    torch.testing.assert_close(P, (rows + rows.T) / 80, atol=1e-8, rtol=1e-5)
    assert P.sum().item() == pytest.approx(1)


def slow_divergence(places):
    near = torch.zeros(40, 40, dtype=torch.float64)
    for i in range(40):
        for j in range(40):
            near[i, j] = 0 if i == j else 1 / (1 + (places[i] - places[j]).square().sum())
    off = ~torch.eye(40, dtype=torch.bool)
    return (P[off] * (P[off] / (near / near.sum())[off]).log()).sum()


def test_divergence_and_its_gradient_are_those_of_the_loop():
    places = PLACES.clone().requires_grad_()
    value = slow_divergence(places)
    value.backward()
    torch.testing.assert_close(divergence(P, PLACES), value.detach())
    torch.testing.assert_close(gradient(P, PLACES), places.grad)


def test_digits_are_mapped_as_well_as_by_scikit_learn(digits):
    features = digits[0][:500]
    known = TSNE(method="exact", init="pca", random_state=0).fit(features.numpy())
    course = list(fit(features, TsneParams()))
    p = similarities(torch.cdist(features, features).square(), 30.0)
    assert len(course) == 1001
    assert divergence(p, course[-1]).item() < 1.03 * known.kl_divergence_
    assert divergence(p, torch.from_numpy(known.embedding_)).item() == pytest.approx(known.kl_divergence_, rel=0.01)
    onwards = list(fit(features, TsneParams(steps=20), earlier=course[-1]))
    assert (onwards[-1] - course[-1]).norm(dim=1).mean() < 0.05 * course[-1].std(dim=0).norm()


def test_the_same_seed_gives_the_same_map_and_one_place_is_no_trouble(digits):
    few = TsneParams(steps=20, perplexity=5.0)
    one, two = (list(fit(digits[0][:60], few))[-1] for _ in range(2))
    assert torch.equal(one, two)
    assert list(fit(torch.ones(20, 3), few))[-1].isfinite().all()


def test_what_cannot_be_mapped(monkeypatch):
    with pytest.raises(ValueError, match=r"perplexity: expected less than 20, the number of points, got 30.0"):
        fit(torch.ones(20, 3), TsneParams())
    monkeypatch.setattr(tsne, "MOST", 10)
    with pytest.raises(ValueError, match="t-SNE compares all pairs, of 10 points at most, got 20; choose umap"):
        fit(torch.ones(20, 3), TsneParams(perplexity=5.0))
