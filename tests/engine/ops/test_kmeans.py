"""k-means against scikit-learn's, and the cases that have one answer."""

import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_blobs

from engine.ops.kmeans import kmeans


def within(features, cluster, centres):
    return (features - centres[cluster]).square().sum().item()


def test_digits_are_clustered_as_tightly_as_by_scikit_learn():
    features = torch.from_numpy(load_digits().data).float()
    known = KMeans(10, n_init=4, random_state=0).fit(features.numpy())
    cluster, centres = kmeans(features, 10)
    assert within(features, cluster, centres) < 1.01 * known.inertia_
    for i in range(10):
        torch.testing.assert_close(centres[i], features[cluster == i].mean(dim=0), atol=1e-3, rtol=0)
    again = kmeans(features, 10, torch.Generator().manual_seed(0))
    assert torch.equal(cluster, again[0])


def test_blobs_that_lie_apart_are_found():
    points, blob = make_blobs(200, centers=5, cluster_std=0.1, random_state=2)
    cluster, _ = kmeans(torch.from_numpy(points), 5)
    pairs = set(zip(cluster.tolist(), blob.tolist(), strict=True))
    assert len(pairs) == 5


def test_fewer_places_than_clusters():
    features = torch.tensor([[0.0], [0.0], [1.0], [1.0]])
    cluster, centres = kmeans(features, 3)
    assert within(features, cluster, centres) == 0
    with pytest.raises(ValueError, match="clusters: expected 1 to 4, the number of points, got 5"):
        kmeans(features, 5)
