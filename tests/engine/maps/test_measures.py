"""Measures of maps against scikit-learn, and where the answer is known."""

import pytest
import torch
from sklearn import manifold, metrics
from sklearn.neighbors import KNeighborsClassifier

from engine.maps import measures
from engine.maps.measures import (
    continuity,
    judge,
    knn_accuracy,
    mutual_information,
    purity,
    silhouette,
    trustworthiness,
)
from engine.maps.start import principal_places
from engine.ops.kmeans import kmeans


@pytest.fixture(scope="module")
def some(digits):
    """Features, labels, and their plain map."""
    features, labels = digits[0][:500], digits[1][:500]
    return features, labels, principal_places(features)


@pytest.fixture(params=[1 << 24, 5000], autouse=True)
def _rooms(request, monkeypatch):
    monkeypatch.setattr(measures, "ROOM", request.param)  # the small one: ten rows at a time


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_neighbourhoods_are_judged_as_by_scikit_learn(some, metric):
    features, _, places = some
    known = manifold.trustworthiness(features.numpy(), places.numpy(), n_neighbors=15, metric=metric)
    assert trustworthiness(features, places, 15, metric) == pytest.approx(known, abs=1e-4)
    known = manifold.trustworthiness(places.numpy(), features.numpy(), n_neighbors=15)
    assert continuity(features, places, 15) == pytest.approx(known, abs=1e-4)
    assert trustworthiness(places, places) == continuity(places, places) == 1
    assert trustworthiness(features, places, asked=250) == pytest.approx(trustworthiness(features, places), abs=0.02)


def test_neighbours_vote_as_by_scikit_learn(some):
    features, labels, places = some
    for values in (features, places):
        guess = KNeighborsClassifier(5).fit(values.numpy(), labels.numpy()).predict(None)
        known = (guess == labels.numpy()).mean()
        assert knn_accuracy(values, labels) == pytest.approx(known, abs=0.005)  # ties of integer distances
    unknown = torch.cat((labels, torch.full((500,), -1)))
    assert knn_accuracy(torch.cat((places, places)), unknown) == knn_accuracy(places, labels)
    assert knn_accuracy(torch.tensor([[0.0], [0.0], [9.0], [9.0]]), torch.tensor([0, 0, 1, 1]), k=1) == 1


def test_silhouettes_are_those_of_scikit_learn(some):
    features, labels, places = some
    for metric in ("euclidean", "cosine"):
        known = metrics.silhouette_score(features.numpy(), labels.numpy(), metric=metric)
        assert silhouette(features, labels, metric) == pytest.approx(known, abs=1e-4)
    alone = torch.cat((torch.tensor([77]), labels[1:]))
    known = metrics.silhouette_score(places.numpy(), alone.numpy())
    assert silhouette(places, alone) == pytest.approx(known, abs=1e-4)
    assert silhouette(places, labels, asked=250) == pytest.approx(silhouette(places, labels), abs=0.05)
    assert silhouette(torch.ones(4, 2), torch.tensor([0, 0, 1, 1])) == 0


def test_clusters_are_compared_with_labels_as_by_scikit_learn(some):
    features, labels, _ = some
    clusters, _ = kmeans(features, 10)
    known = metrics.normalized_mutual_info_score(labels.numpy(), clusters.numpy())
    assert mutual_information(clusters, labels) == pytest.approx(known, abs=1e-6)
    table = metrics.cluster.contingency_matrix(labels.numpy(), clusters.numpy())
    assert purity(clusters, labels) == pytest.approx(table.max(axis=0).sum() / 500)
    assert purity(labels, labels) == pytest.approx(1)
    assert mutual_information(9 - labels, labels) == pytest.approx(1)
    assert mutual_information(torch.zeros(4).long(), torch.tensor([0, 0, 1, 1])) == pytest.approx(0)
    assert mutual_information(torch.zeros(4).long(), torch.zeros(4).long()) == 1


def test_what_cannot_be_measured(some):
    features, labels, places = some
    with pytest.raises(ValueError, match="features and places: expected as many rows, got 500 and 5"):
        trustworthiness(features, places[:5])
    with pytest.raises(ValueError, match="k: expected 1 to less than half of the 500 points, got 250"):
        continuity(features, places, 250)
    with pytest.raises(ValueError, match="k: expected 1 to 499, one less than there are labelled points, got 500"):
        knn_accuracy(features, labels, 500)
    with pytest.raises(ValueError, match="labels: a silhouette needs two labels or more"):
        silhouette(features, torch.zeros_like(labels))
    with pytest.raises(ValueError, match="labels: no point has one"):
        purity(labels, torch.full_like(labels, -1))
    with pytest.raises(ValueError, match="labels: expected one for each of 500 points"):
        silhouette(features, labels[:3])
    with pytest.raises(ValueError, match=r"clusters and labels: expected the same \(N,\)"):
        mutual_information(labels, labels[:3])


def test_all_measures_at_once_are_those_one_by_one_and_what_needs_labels_is_left_out(some):
    features, labels, places = some
    clusters, _ = kmeans(features, 10)
    told = judge(features, places, labels, clusters, asked=500)
    assert told["trustworthiness"] == trustworthiness(features, places, 15)
    assert told["neighbours"] == knn_accuracy(features, labels, 5)
    assert told["neighbours in the map"] == knn_accuracy(places, labels, 5)
    assert told["silhouette"] == silhouette(features, labels)
    assert told["purity"] == purity(clusters, labels)
    assert told["mutual information"] == mutual_information(clusters, labels)
    assert judge(features, places, torch.full_like(labels, -1), clusters).keys() == {"trustworthiness"}
    assert "silhouette" not in judge(features, places, torch.zeros_like(labels), clusters)
    assert judge(features[:2], places[:2], labels[:2], clusters[:2]).keys() <= {
        "silhouette",
        "purity",
        "mutual information",
    }
