"""Neighbours against a loop over pairs, and the cases where the answer is known."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine.data.base import Batch, Facts, Memory
from engine.metrics.neighbours import NEAREST, embed_all, knn_accuracy, most_alike, nearest

GENERATOR = torch.Generator().manual_seed(0)


def pictures(count, classes=("a", "b"), seed=0):
    """Pictures of 28 pixels; those of class b are brighter on the right, those of class a on the left."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(1, 100, (count, 1, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % 2
    images[labels == 0, :, :, :14] += 100
    images[labels == 1, :, :, 14:] += 100
    return Memory(Batch(images, torch.arange(count), labels=labels), Facts(1, 28, classes))


def chunks(data):
    return [data.batch(rows).to("cpu") for rows in torch.arange(len(data)).split(7)]


def test_nearest_is_what_a_loop_finds():
    bank, queries = torch.randn(40, 6, generator=GENERATOR), torch.randn(5, 6, generator=GENERATOR)
    similarity, index = nearest(bank, queries, 3)
    for query, values, places in zip(queries, similarity, index, strict=True):
        pairs = ((F.cosine_similarity(query, row, dim=0).item(), i) for i, row in enumerate(bank))
        scored = sorted(pairs, reverse=True)
        assert places.tolist() == [i for _, i in scored[:3]]
        assert values.tolist() == pytest.approx([value for value, _ in scored[:3]], abs=1e-5)


def test_nearest_needs_enough_to_choose_from():
    with pytest.raises(ValueError, match="k: expected 1 to 2"):
        nearest(torch.ones(2, 3), torch.ones(1, 3), 3)


def test_embed_all_keeps_the_order_and_says_when_there_is_no_label():
    data = pictures(20)
    features, labels = embed_all(nn.Flatten(), chunks(data))
    assert torch.equal(features, data.rows.images.float().div(255).flatten(1))
    assert torch.equal(labels, data.rows.labels)
    unlabelled = [Batch(torch.rand(3, 1, 4, 4), torch.arange(3))]
    assert embed_all(nn.Flatten(), unlabelled)[1].tolist() == [-1, -1, -1]


def test_a_picture_that_is_known_is_recognised_and_classes_that_differ_are_told_apart():
    data, test = pictures(20), pictures(30, seed=1)
    assert knn_accuracy(nn.Flatten(), chunks(data), chunks(data), 2, k=1) == 1
    assert knn_accuracy(nn.Flatten(), chunks(data), chunks(test), 2, k=5) == 1
    # More neighbours than there are known pictures: all of them vote.
    assert knn_accuracy(nn.Flatten(), chunks(data), chunks(test), 2, k=50) == 1
    assert knn_accuracy(lambda images: torch.ones(len(images), 3), chunks(data), chunks(test), 2) == 0.5


def test_the_most_alike_of_a_picture_that_is_there_is_itself():
    data = pictures(20)
    images = data.batch(torch.tensor([3, 8])).to("cpu").images
    report = most_alike(nn.Flatten(), images, data, chunks(data))
    assert torch.equal(report["query"], images)
    assert torch.equal(report[NEAREST[0]], images)
    assert [row.split(", ") for row in report["classes_found"]] == [["b"] * 5, ["a"] * 5]
    assert report["number"].tolist() == [1, 2]
    assert (report["similarity"] < 1).all()
