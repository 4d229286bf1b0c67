"""What features say of all pictures of a set, and what is most alike by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from engine.data.base import Batch, Dataset
from engine.metrics.classification import accuracy
from engine.metrics.readers import knn_scores
from engine.ops.neighbours import nearest_neighbours

PIXELS = nn.Sequential(nn.AdaptiveAvgPool2d(28), nn.Flatten())
"""The features that need no learning: a thumbnail's pixels."""
NEAREST = tuple(f"nearest_{place}" for place in range(1, 6))
"""What `most_alike` calls the pictures that it found."""


@torch.no_grad()
def embed_all(embed: Callable[[Tensor], Tensor], batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """Features (N, D) in float32 and labels (N,) of all images; labels are -1 where the source has none.

    embed: images (B, C, H, W) in [0, 1] -> features (B, D). A network must already be in eval mode.
    """
    features, labels = [], []
    for batch in batches:
        features.append(embed(batch.images).float())
        labels.append(features[-1].new_full((len(batch),), -1).long() if batch.labels is None else batch.labels)
    return torch.cat(features), torch.cat(labels)


def knn_accuracy(
    embed: Callable[[Tensor], Tensor], known: Iterable[Batch], asked: Iterable[Batch], classes: int, k: int = 20
) -> Tensor:
    """Share right, in [0, 1], when the k known images with the most similar features vote on each asked one's class.

    The weighted vote of `knn_scores`; k is lowered to the number of known images. A 0-d tensor.
    """
    bank, labels = embed_all(embed, known)
    queries, truth = embed_all(embed, asked)
    return vote(bank, labels, queries, truth, classes, k)


def vote(bank: Tensor, labels: Tensor, queries: Tensor, truth: Tensor, classes: int, k: int = 20) -> Tensor:
    """`knn_accuracy` of features: bank (N, D) with labels (N,), queries (M, D) with their true ones (M,)."""
    votes = knn_scores(bank, labels, queries, classes, min(k, len(bank)))
    return accuracy(votes.argmax(dim=1), truth)


def shared_classes(data: Dataset, test: Dataset) -> int:
    """The number of classes of both; 0 when they have none, or not the same (as in few-shot learning)."""
    return len(data.facts.classes) if data.facts.classes == test.facts.classes else 0


def nearest(bank: Tensor, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Cosine similarity and position (M, k) of the k rows of `bank` (N, D) most like each query (M, D), best first."""
    distance, index = nearest_neighbours(bank, k, "cosine", queries)
    return 1 - distance, index


@torch.no_grad()
def most_alike(
    embed: Callable[[Tensor], Tensor], images: Tensor, data: Dataset, batches: Iterable[Batch]
) -> dict[str, Any]:
    """For each of `images` (N, C, H, W) the five of `data` with the most similar features, best first.

    batches: all of `data`, in order, on the images' device. Returns pictures "query" and those named in `NEAREST`, each
    (N, C, H, W); "number" (N,) from 1; "classes_found": N strings; "similarity": (N,) mean cosine of the five.
    """
    bank, labels = embed_all(embed, batches)
    similarity, index = nearest(bank, embed(images).float(), len(NEAREST))
    found = [data.batch(column.cpu()).to(images.device).images for column in index.T]
    classes = (*data.facts.classes, "unknown")
    return {
        "query": images,
        **dict(zip(NEAREST, found, strict=True)),
        "number": torch.arange(1, len(images) + 1),
        "classes_found": [", ".join(classes[label] for label in row) for row in labels[index].tolist()],
        "similarity": similarity.mean(dim=1),
    }
