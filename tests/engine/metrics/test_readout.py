"""What features are worth, held against scikit-learn's readers; and features that have collapsed."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from torch.nn import functional as F

from engine.bench import Bench, Setup
from engine.data.base import Batch, Facts, Memory
from engine.metrics.readout import SAMPLE, Readout

FLAT = nn.Flatten()


def pictures(count, seed, classes=("a", "b", "c")):
    """Pictures of noise, each class with a faint pattern of its own."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % len(classes) if classes else None
    patterns = torch.randint(0, 60, (3, 1, 6, 6), generator=torch.Generator().manual_seed(9))
    images = torch.randint(0, 195, (count, 1, 6, 6), generator=generator)
    images = images + patterns[labels] if labels is not None else images
    return Memory(Batch(images.byte(), torch.arange(count), labels=labels), Facts(1, 6, classes))


def collapsed(images):
    return torch.ones(len(images), 5)


@pytest.fixture
def bench():
    return Bench(Setup(device="cpu"))


def readout(bench, classes=("a", "b", "c")):
    return Readout(bench, pictures(60, 0, classes), pictures(600, 1, classes), collapsed)


def flat(data, count):
    rows = data.batch(torch.arange(count) * len(data) // count)
    return rows.to("cpu").images.flatten(1), rows.labels.numpy()


def test_the_readers_are_those_of_scikit_learn(bench):
    report = readout(bench)(FLAT)
    known, labels = flat(pictures(60, 0), 60)
    asked, truth = flat(pictures(600, 1), 600)
    votes = KNeighborsClassifier(20, metric="cosine", weights=lambda far: np.exp((1 - far) / 0.07))
    right = votes.fit(known.numpy(), labels).score(asked.numpy(), truth)
    assert report["neighbours"].item() == pytest.approx(right, abs=1 / 600 + 1e-6)
    mean, deviation = known.mean(dim=0), known.std(dim=0, correction=0)
    probe = LogisticRegression(C=0.1, max_iter=1000, tol=1e-8).fit(((known - mean) / deviation).numpy(), labels)
    right = probe.score(((asked - mean) / deviation).numpy(), truth)
    assert report["probe"].item() == pytest.approx(right, abs=1 / 600 + 1e-6)


def test_at_the_end_the_untrained_stand_beside(bench):
    read = readout(bench)
    before, report = read(FLAT), read(FLAT, FLAT, last=True)
    assert "right" not in before
    assert report["neighbours"] == before["neighbours"] > 0.4
    assert report["untrained"] == pytest.approx(1 / 3)
    bars = dict(zip(report["way"], report["right"].tolist(), strict=True))
    assert bars["linear probe"] == pytest.approx(report["probe"].item())
    assert bars["neighbours by pixels"] == pytest.approx(report["pixels"])


def test_the_sample_goes_through_the_head(bench):
    heads = []
    readout(bench)(FLAT, lambda images: heads.append(len(images)) or FLAT(images))
    assert sum(heads) == SAMPLE + 60  # and the labelled ones


def test_collapse_is_seen(bench):
    report = readout(bench)(collapsed, collapsed)
    assert report["deviation"].item() == pytest.approx(0, abs=1e-6)
    assert report["directions"].item() == pytest.approx(1)
    assert report["neighbours"] < 0.45  # all are as near: the first known ones vote

    def everywhere(images):
        noise = torch.randn(len(images), 8, generator=torch.Generator().manual_seed(0))
        return F.normalize(noise, dim=1)

    assert readout(bench)(everywhere, everywhere)["deviation"].item() == pytest.approx(1, rel=0.01)


def test_a_head_that_says_nothing_is_no_error(bench):
    report = readout(bench)(FLAT, lambda images: torch.zeros(len(images), 4))
    assert "after the head" not in report
    assert report["deviation"] == 0


def test_without_classes_only_collapse_is_told(bench):
    assert set(readout(bench, ())(FLAT, FLAT, last=True)) == {"directions", "deviation"}
