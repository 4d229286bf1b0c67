"""Semantic segmentation scores, read off the confusion matrix of a whole data set (never averaged over images).

h = `engine.metrics.classification.confusion_matrix(predictions, semantic, classes, void=255)`, summed over batches.
"""

from __future__ import annotations

from torch import Tensor


def pixel_accuracy(confusion: Tensor) -> Tensor:
    """sum_i h_ii / sum_ij h_ij. Says little where one class fills the picture."""
    return confusion.diagonal().sum().double() / confusion.sum()


def class_iou(confusion: Tensor) -> Tensor:
    """IoU_i = h_ii / (sum_j h_ij + sum_j h_ji - h_ii), float64; NaN for a class neither true nor said."""
    hits = confusion.diagonal().double()
    return hits / (confusion.sum(dim=1) + confusion.sum(dim=0) - hits)


def mean_iou(confusion: Tensor) -> Tensor:
    """Mean of `class_iou` over the classes that occur in truth or prediction."""
    return class_iou(confusion).nanmean()
