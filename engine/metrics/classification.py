"""How often the answer is right: accuracy, top-k, the confusion matrix and what is read off it."""

from __future__ import annotations

import torch
from torch import Tensor


def accuracy(predictions: Tensor, labels: Tensor) -> Tensor:
    """Share of equal entries, in [0, 1]; both of the same shape. A 0-d tensor, left on its device."""
    if predictions.shape != labels.shape or not labels.numel():
        shapes = f"{tuple(predictions.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"predictions and labels: expected the same shape with one entry or more, got {shapes}")
    return (predictions == labels).float().mean()


def top_k_accuracy(scores: Tensor, labels: Tensor, k: int) -> Tensor:
    """Share of rows (N, C) whose label (N,) is among the k largest scores. A 0-d tensor."""
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"k: expected 1 to {scores.shape[1]} classes, got {k}")
    if len(scores) != len(labels):
        raise ValueError(f"labels: got {len(labels)} for {len(scores)} rows of scores")
    return (scores.topk(k, dim=1).indices == labels[:, None]).any(dim=1).float().mean()


def confusion_matrix(predictions: Tensor, labels: Tensor, classes: int, void: int | None = None) -> Tensor:
    """h (classes, classes) int64 with h[i, j] the number of entries of true class i that were called j.

    predictions, labels: int64 of one shape, any. Entries labelled `void` are left out; `void` as a prediction, or any
    class outside 0..classes-1, is an error.
    """
    if predictions.shape != labels.shape:
        raise ValueError(f"predictions {tuple(predictions.shape)} and labels {tuple(labels.shape)} differ in shape")
    if void is not None:
        counted = labels != void
        predictions, labels = predictions[counted], labels[counted]
    for name, values in (("predictions", predictions), ("labels", labels)):
        if values.numel() and not 0 <= int(values.min()) <= int(values.max()) < classes:
            found = f"{int(values.min())} to {int(values.max())}"
            raise ValueError(f"{name}: expected classes 0 to {classes - 1}, got {found}")
    pairs = labels.flatten() * classes + predictions.flatten()
    return torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def per_class_accuracy(confusion: Tensor) -> Tensor:
    """Share of each true class that was recognised, (classes,) float64; NaN for a class that never occurs."""
    return confusion.diagonal().double() / confusion.sum(dim=1)
