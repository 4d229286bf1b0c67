"""How good pseudo-labels are, where somebody knows the truth."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from engine.data.base import Dataset
from engine.metrics.calibration import reliability

BINS, SHOWN = 5, 8
"""Ranges of confidence, and pictures, in a report card."""


def report_card(probabilities: Tensor, truth: Tensor, threshold: float, pictures: Dataset) -> dict[str, Any]:
    """The teacher's probabilities (N, classes) for `pictures` against their true labels (N,), -1 where nobody knows.

    pseudo/kept: share of the pictures above the threshold; pseudo/right: share of these whose label is right.
    confidence, share_right, range (BINS,): of all pictures, by confidence. surely_right, surely_wrong (SHOWN or fewer,
    C, H, W): the surest pictures, the surest first; called, truly: the names for the wrong ones. Where the truth of any
    picture is not known, pseudo/kept is all that can be said.
    """
    confidence, label = probabilities.max(dim=1)
    kept, right = confidence > threshold, label == truth
    card: dict[str, Any] = {"pseudo/kept": kept.float().mean()}
    if (truth < 0).any():
        return card
    table, names = reliability(probabilities, truth, BINS), pictures.facts.classes
    card |= {
        "pseudo/right": (kept & right).sum() / kept.sum().clamp(min=1),
        "confidence": table.confidence, "share_right": table.accuracy,
        "range": [f"up to {(i + 1) / BINS:.1f}: {count:.0f} pictures" for i, count in enumerate(table.count.tolist())],
    }  # fmt: skip
    order = confidence.argsort(descending=True, stable=True)
    wrong = order[~right[order]][:SHOWN]
    card["called"], card["truly"] = ([names[i] for i in labels[wrong].tolist()] for labels in (label, truth))
    for name, places in (("surely_right", order[right[order]][:SHOWN]), ("surely_wrong", wrong)):
        if len(places):
            card[name] = pictures.batch(places.cpu()).to(truth.device).images
    return card


def purity(confidence: Tensor, right: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
    """Share of N pictures above each threshold (T,), and share of these that is right (NaN where there are none)."""
    above = confidence > thresholds[:, None]
    count = above.sum(dim=1)
    return count / len(confidence), (above & right).sum(dim=1) / count
