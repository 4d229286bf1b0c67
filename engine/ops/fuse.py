"""Boxes found in several views of one picture become one set: weighted boxes fusion.

Solovyev, Wang, Gabruseva. Image and Vision Computing 2021. arXiv:1910.13302
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def fuse(
    boxes: Tensor, scores: Tensor, labels: Tensor, views: int, overlap: float = 0.5
) -> tuple[Tensor, Tensor, Tensor]:
    """Fused boxes (F, 4), scores (F,) and labels (F,), best first, of what `views` views found together (D, ...).

    From the highest score down, a box joins the fused box of its label that it overlaps most, if by more than
    `overlap`, else it begins one. A fused box is the mean of its boxes, weighted by their scores; its score is the mean
    of theirs, times the share of the views that found it, at most 1 (section 3 of the paper). On the host: each step
    hangs on the one before, and boxes are few.
    """
    if views < 1:
        raise ValueError(f"views: expected 1 or more, got {views}")
    places, weights, kinds = boxes.tolist(), scores.tolist(), labels.tolist()
    groups: list[list[int]] = []
    fused: list[list[float]] = []
    for i in scores.argsort(descending=True, stable=True).tolist():
        shared = [(_iou(fused[g], places[i]), -g) for g, group in enumerate(groups) if kinds[group[0]] == kinds[i]]
        most, where = max(shared, default=(0.0, 0))
        if most > overlap:
            groups[-where].append(i)
            group, whole = groups[-where], sum(weights[j] for j in groups[-where])
            fused[-where] = [sum(weights[j] * places[j][side] for j in group) / whole for side in range(4)]
        else:
            groups.append([i])
            fused.append(places[i])
    if not groups:
        return boxes, scores, labels
    score = torch.tensor([sum(weights[j] for j in group) / len(group) * min(len(group), views) / views
                          for group in groups])  # fmt: skip
    best = score.argsort(descending=True, stable=True)
    first = torch.tensor([group[0] for group in groups])[best].to(labels.device)
    return torch.tensor(fused).to(boxes)[best.to(boxes.device)], score[best].to(scores), labels[first]


def _iou(one: Sequence[float], two: Sequence[float]) -> float:
    """Intersection over union of two boxes; 0 where they do not touch."""
    wide = min(one[2], two[2]) - max(one[0], two[0])
    high = min(one[3], two[3]) - max(one[1], two[1])
    if wide <= 0 or high <= 0:
        return 0.0
    both = wide * high
    return both / ((one[2] - one[0]) * (one[3] - one[1]) + (two[2] - two[0]) * (two[3] - two[1]) - both)
