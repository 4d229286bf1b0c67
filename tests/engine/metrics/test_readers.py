"""Readers of frozen features against scikit-learn, their limits, and data they must or cannot read."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from engine.metrics.classification import accuracy
from engine.metrics.readers import knn_scores, linear_probe


def clouds(count: int, seed: int, spread: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Four overlapping clouds in eight dimensions, of unequal scales and off the origin."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(4, 8, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    labels = torch.randint(0, 4, (count,), generator=generator)
    noise = torch.randn(count, 8, generator=generator, dtype=torch.float64)
    scale = torch.linspace(0.1, 5, 8, dtype=torch.float64)
    return (centres[labels] + spread * noise) * scale + 3, labels


BANK, LABELS = clouds(300, 0)
QUERIES, ANSWERS = clouds(200, 1)


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (20, 0.07), (50, 0.5)])
def test_knn_agrees_with_sklearn(k, temperature):
    theirs = KNeighborsClassifier(k, metric="cosine", weights=lambda d: np.exp((1 - d) / temperature)).fit(BANK, LABELS)
    ours = knn_scores(BANK, LABELS, QUERIES, 4, k, temperature, chunk=64)
    torch.testing.assert_close(ours, torch.from_numpy(theirs.predict_proba(QUERIES)))


def test_knn_ends_of_the_temperature():
    nearest = knn_scores(BANK, LABELS, QUERIES, 4, k=1).argmax(1)
    assert torch.equal(knn_scores(BANK, LABELS, QUERIES, 4, k=20, temperature=1e-7).argmax(1), nearest)
    votes = KNeighborsClassifier(20, metric="cosine", weights="uniform").fit(BANK, LABELS).predict_proba(QUERIES)
    torch.testing.assert_close(knn_scores(BANK, LABELS, QUERIES, 4, k=20, temperature=1e9), torch.from_numpy(votes))


def test_knn_finds_itself_whatever_the_order_and_length_of_rows():
    assert accuracy(knn_scores(BANK, LABELS, BANK, 4, k=1).argmax(1), LABELS) == 1
    order = torch.randperm(300, generator=torch.Generator().manual_seed(2))
    stretched = BANK[order] * torch.rand(300, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64).add(
        0.1
    )
    torch.testing.assert_close(knn_scores(stretched, LABELS[order], QUERIES, 4), knn_scores(BANK, LABELS, QUERIES, 4))


def test_probe_agrees_with_sklearn():
    scaler = StandardScaler().fit(BANK)
    theirs = LogisticRegression(C=0.1, tol=1e-10, max_iter=5000).fit(scaler.transform(BANK), LABELS)
    probe = linear_probe(BANK, LABELS, 4)
    torch.testing.assert_close(probe.weight, torch.from_numpy(theirs.coef_), atol=1e-4, rtol=1e-3)
    expected = torch.from_numpy(theirs.predict_proba(scaler.transform(QUERIES)))
    torch.testing.assert_close(probe(QUERIES).softmax(1), expected, atol=1e-4, rtol=1e-3)


def test_probe_reads_what_is_there_and_nothing_else():
    one_hot = torch.eye(4)[LABELS]
    assert accuracy(linear_probe(one_hot, LABELS, 4)(one_hot).argmax(1), LABELS) == 1
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(2, 2000, 8, generator=generator)
    labels = torch.randint(0, 4, (2, 2000), generator=generator)
    chance = accuracy(linear_probe(noise[0], labels[0], 4)(noise[1]).argmax(1), labels[1])
    assert abs(chance - 0.25) < 4 * (0.25 * 0.75 / 2000) ** 0.5


def test_probe_does_not_mind_units_nor_dead_features():
    probe = linear_probe(BANK, LABELS, 4)
    dead = torch.cat((BANK * 7 - 2, torch.full((300, 1), 3.0)), dim=1)
    logits = linear_probe(dead, LABELS, 4)(dead)
    torch.testing.assert_close(logits.softmax(1), probe(BANK).softmax(1), atol=1e-5, rtol=1e-4)


def test_probe_fits_where_gradients_are_off():
    with torch.no_grad():
        assert accuracy(linear_probe(BANK, LABELS, 4)(BANK).argmax(1), LABELS) > 0.5


def test_bad_input():
    with pytest.raises(ValueError, match="k: expected 1 to 300, the size of the bank, got 301"):
        knn_scores(BANK, LABELS, QUERIES, 4, k=301)
    with pytest.raises(ValueError, match="queries: row 2 is all zeros"):
        knn_scores(BANK, LABELS, BANK * (torch.arange(300) != 2)[:, None], 4)
    with pytest.raises(ValueError, match=r"expected \(N, D\), \(N,\), \(M, D\)"):
        knn_scores(BANK, LABELS[:-1], QUERIES, 4)
    with pytest.raises(ValueError, match="temperature: expected more than 0"):
        knn_scores(BANK, LABELS, QUERIES, 4, temperature=0)
    with pytest.raises(ValueError, match="labels: expected 0 to 2, got 0 to 3"):
        linear_probe(BANK, LABELS, 3)
    with pytest.raises(ValueError, match="features and labels"):
        linear_probe(BANK, LABELS[:-1], 4)
    with pytest.raises(ValueError, match="strength: expected more than 0"):
        linear_probe(BANK, LABELS, 4, strength=0)
