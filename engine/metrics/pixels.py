"""The baseline without any learning: what the pixels alone say of a picture's class."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.data.base import Batch
from engine.data.subset import labels_in
from engine.metrics.classification import accuracy
from engine.metrics.readers import knn_scores

SIDE, NEIGHBOURS = 28, 5


def neighbour_accuracy(known: Iterable[Batch], asked: Iterable[Batch], classes: int) -> float:
    """Share right, in [0, 1], when each asked picture takes the class of the 5 known ones whose pixels are most alike.

    Pictures are compared as thumbnails of 28 pixels by the cosine of their values; all known ones are held in memory.
    """
    bank, labels = _thumbnails(known)
    queries, truth = _thumbnails(asked)
    votes = knn_scores(bank, labels, queries, classes, min(NEIGHBOURS, len(bank)))
    return accuracy(votes.argmax(dim=1), truth).item()


def _thumbnails(batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """Pixels (N, C * 28 * 28) and labels (N,)."""
    pixels, labels = [], []
    for batch in batches:
        pixels.append(F.adaptive_avg_pool2d(batch.images, SIDE).flatten(1))
        labels.append(labels_in(batch))
    return torch.cat(pixels), torch.cat(labels)
