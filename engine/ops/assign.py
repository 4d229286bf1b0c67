"""What the anchors of a batch should say, and what they did say, as detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import batched_nms

from engine.ops.boxes import SIGMA, encode, iou
from engine.ops.match import IGNORED, match


@dataclass(frozen=True)
class Targets:
    """Per anchor: truth (B, A, K) bool, counted (B, A) bool (not ignored), positive (B, A) bool, deltas (B, A, 4)."""

    truth: Tensor
    counted: Tensor
    positive: Tensor
    deltas: Tensor


def assign(
    boxes: Sequence[Tensor], labels: Sequence[Tensor], ignore: Sequence[Tensor] | None, anchors: Tensor, classes: int,
    high: float, low: float, sigma: tuple[float, float] = SIGMA,
) -> Targets:  # fmt: skip
    """Targets of A anchors for B images with boxes (G, 4), labels (G,) in 0..classes-1 and ignore (G,) bool each.

    Anchors are matched as `match` says; those of an ignored object take no part. An image may have no object. sigma: of
    the box coder, see `encode`.
    """
    size = (len(boxes), len(anchors))
    truth = torch.zeros(*size, classes, dtype=torch.bool, device=anchors.device)
    deltas = torch.zeros(*size, 4, device=anchors.device)
    owner = torch.empty(size, dtype=torch.long, device=anchors.device)
    for i, (theirs, kinds) in enumerate(zip(boxes, labels, strict=True)):
        owner[i] = match(iou(theirs[:, None], anchors), high, low)
        if not len(theirs):
            continue
        own = owner[i].clamp(min=0)
        if ignore is not None:
            owner[i].masked_fill_((owner[i] >= 0) & ignore[i][own], IGNORED)
        truth[i] = F.one_hot(kinds[own], classes).bool() & (owner[i] >= 0)[:, None]
        deltas[i] = encode(theirs[own], anchors, sigma)
    return Targets(truth, owner != IGNORED, owner >= 0, deltas)


def select(
    scores: Tensor, boxes: Tensor, score: float = 0.05, overlap: float = 0.5, most: int = 100, before: int = 1000
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (D, 4), scores (D,) and labels (D,) of one image, best first, from scores (A, K) and boxes (A, 4).

    Of the `before` best scores those above `score` are thinned per class by NMS at `overlap`; `most` remain.
    """
    best, place = scores.flatten().topk(min(before, scores.numel()))
    place, best = place[best > score], best[best > score]
    anchor, label = place // scores.shape[1], place % scores.shape[1]
    kept = batched_nms(boxes[anchor], best, label, overlap)[:most]
    return boxes[anchor][kept], best[kept], label[kept]


def rows(boxes: Tensor, labels: Tensor, scores: Tensor | None = None, most: int = 12) -> Tensor:
    """(most, 6) rows x1, y1, x2, y2, label, score as a figure of boxes wants them; missing rows are NaN."""
    table = torch.full((most, 6), float("nan"), device=boxes.device)
    count = min(most, len(boxes))
    table[:count, :4], table[:count, 4] = boxes[:count], labels[:count].float()
    table[:count, 5] = 1.0 if scores is None else scores[:count]
    return table
