"""The fuzzy graph and the curve against umap-learn's formulas in slow loops, scipy's fit, and umap-learn itself."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import curve_fit

from engine.maps.curve import fit_curve
from engine.maps.fuzzy import directed, memberships, smooth_distances, union
from engine.ops.neighbours import nearest_neighbours

K = 10
FEATURES = torch.randn(60, 5, generator=torch.Generator().manual_seed(0)).round(decimals=1)
FEATURES[:12] = FEATURES[0]  # more of them in one place than a surrounding holds
FEATURES[12:15] = FEATURES[12]
DISTANCE, INDEX = nearest_neighbours(FEATURES, K - 1)


def slow_sigma_and_rho(distances, k):
    """umap-learn's smooth_knn_dist for one point, without its first neighbour, the point itself."""
    positive = [d for d in distances if d > 0]
    rho = min(positive) if positive else 0.0
    low, high, sigma = 0.0, math.inf, 1.0
    for _ in range(64):
        total = sum(math.exp(-(d - rho) / sigma) if d > rho else 1.0 for d in distances)
        if abs(total - math.log2(k)) < 1e-5:
            break
        if total > math.log2(k):
            high, sigma = sigma, (low + sigma) / 2
        else:
            low, sigma = sigma, sigma * 2 if math.isinf(high) else (sigma + high) / 2
    return sigma, rho


def test_sigma_and_rho_are_those_of_the_loop():
    sigma, rho = smooth_distances(DISTANCE, math.log2(K))
    mean = DISTANCE.mean().item()
    for i, distances in enumerate(DISTANCE.tolist()):
        slow, nearest = slow_sigma_and_rho(distances, K)
        floor = 1e-3 * (sum(distances) / len(distances) if nearest > 0 else mean)
        assert rho[i].item() == pytest.approx(nearest)
        assert sigma[i].item() == pytest.approx(max(slow, floor), rel=1e-3)
    assert (rho[:12] == 0).all()


def test_memberships_sum_to_log2_of_k_but_where_points_coincide():
    apart = torch.randn(60, 5, generator=torch.Generator().manual_seed(2))
    weight = memberships(nearest_neighbours(apart, K - 1)[0], K)
    torch.testing.assert_close(weight.sum(dim=1), torch.full((60,), math.log2(K)), atol=1e-4, rtol=0)
    assert (weight[:, 0] == 1).all()
    assert (memberships(DISTANCE, K)[:12] == 1).all()


def test_the_union_is_that_of_dense_matrices():
    weight = memberships(DISTANCE, K)
    dense = torch.zeros(60, 60)
    for i in range(60):
        for j, value in zip(INDEX[i].tolist(), weight[i].tolist(), strict=True):
            dense[i, j] = value
    graph = union(directed(INDEX, weight), 60)
    found = torch.zeros(60, 60)
    found[graph.head, graph.tail] = graph.weight
    torch.testing.assert_close(found, dense + dense.T - dense * dense.T)
    assert torch.equal(found, found.T)
    assert (graph.head.diff() >= 0).all()
    assert (graph.weight > 0).all()
    assert len(graph.weight) == (found > 0).sum()


@pytest.mark.parametrize(("min_dist", "spread"), [(0.0, 1.0), (0.1, 1.0), (0.5, 1.0), (0.99, 1.0), (0.5, 2.0)])
def test_the_curve_is_the_one_that_scipy_fits(min_dist, spread):
    x = np.linspace(0, 3 * spread, 300)
    y = np.where(x < min_dist, 1.0, np.exp(-(x - min_dist) / spread))
    known, _ = curve_fit(lambda x, a, b: 1 / (1 + a * x ** (2 * b)), x, y)
    assert fit_curve(min_dist, spread) == pytest.approx(known, rel=1e-4)


def test_a_curve_that_cannot_be():
    with pytest.raises(ValueError, match=r"min_dist: expected 0 to 3.0, three times the spread, got 4.0"):
        fit_curve(4.0)


def test_graph_and_curve_are_those_of_umap_learn():
    umap = pytest.importorskip("umap.umap_", reason="umap-learn is not installed")
    features = torch.randn(300, 8, generator=torch.Generator().manual_seed(1))
    distance, index = nearest_neighbours(features, 14)
    with_self = torch.cat((torch.arange(300)[:, None], index), dim=1).numpy()
    known, sigma, rho = umap.fuzzy_simplicial_set(
        features.numpy(), 15, np.random.RandomState(0), "euclidean", knn_indices=with_self,
        knn_dists=torch.cat((torch.zeros(300, 1), distance), dim=1).numpy(),
    )  # fmt: skip
    found_sigma, found_rho = smooth_distances(distance, math.log2(15))
    np.testing.assert_allclose(found_sigma, sigma, rtol=1e-3)
    np.testing.assert_allclose(found_rho, rho, rtol=1e-5)
    graph = union(directed(index, memberships(distance, 15)), 300)
    dense = np.zeros((300, 300))
    dense[graph.head, graph.tail] = graph.weight
    np.testing.assert_allclose(dense, known.toarray(), atol=1e-3)
    assert fit_curve(0.1) == pytest.approx(umap.find_ab_params(1.0, 0.1), rel=1e-4)
