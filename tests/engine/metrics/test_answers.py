"""A network asked about a whole set, and the baseline that asks no network."""

import pytest
import torch
from torch import nn

from engine.data.base import Batch
from engine.metrics.answers import accuracy_of, answers
from engine.metrics.neighbours import PIXELS, knn_accuracy


def batches(count=12, size=5):
    images = torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    whole = Batch(images, torch.arange(count), torch.arange(count) % 3)
    return [Batch(whole.images[i : i + size], whole.index[i : i + size], whole.labels[i : i + size])
            for i in range(0, count, size)], whole  # fmt: skip


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784), nn.Dropout(0.5), nn.Linear(784, 3))


def test_the_network_answers_undisturbed_and_is_left_as_it_was():
    parts, whole = batches()
    net = network().train()
    net[1].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = answers(net, parts)
    assert [module.training for module in net] == [True, False, True, True]
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(found, answers(net, parts))
    assert not found.requires_grad
    assert torch.allclose(found, net.eval()(whole.images), atol=1e-6)


def test_modes_are_put_back_when_the_network_fails():
    net = network().train()
    with pytest.raises(RuntimeError):
        answers(net, [Batch(torch.rand(2, 1, 3, 3), torch.arange(2))])
    assert net[2].training


def test_accuracy_counts_the_images_whose_largest_logit_is_their_label():
    parts, whole = batches()
    net = network().eval()
    right = [int(row.argmax()) == label for row, label in zip(net(whole.images), whole.labels.tolist(), strict=True)]
    assert accuracy_of(net, iter(parts)).item() == pytest.approx(sum(right) / len(right))
    with pytest.raises(ValueError, match="no labels"):
        accuracy_of(net, [Batch(whole.images, whole.index)])


def test_neighbours_on_pixels_are_the_definition():
    known, rows = batches(30)
    asked, queries = batches(7)
    votes = []
    for query in queries.images.flatten(1):
        similar = torch.cosine_similarity(query, rows.images.flatten(1), dim=1)
        nearest = similar.argsort(descending=True)[:5]
        weight = (similar[nearest] / 0.07).exp()
        votes.append(max(range(3), key=lambda c: weight[rows.labels[nearest] == c].sum().item()))
    right = sum(vote == label for vote, label in zip(votes, queries.labels.tolist(), strict=True)) / len(votes)
    assert knn_accuracy(PIXELS, known, asked, 3, 5).item() == pytest.approx(right)
    assert knn_accuracy(PIXELS, known, known, 3, 5) == 1.0  # each is its own nearest, at cosine 1
