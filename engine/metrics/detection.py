"""COCO average precision of boxes: AP over ten overlaps, AP50, AP75, the precision-recall curves behind them.

The rules are those of the COCO evaluation code (Lin et al. 2014; pycocotools): a hundred detections an image and class,
greedy matching from the highest score, 101 recall levels, classes without an object left out of the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.data.base import Batch
from engine.ops.assign import rows
from engine.ops.boxes import area, intersection, ratio

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
MOST_PER_IMAGE = 100


@dataclass(frozen=True)
class Detections:
    """What was found in one image: boxes (D, 4), scores (D,), labels (D,) int64 in 0..K-1."""

    boxes: Tensor
    scores: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Objects:
    """What is there in one image: boxes (G, 4), labels (G,) int64 in 0..K-1, ignore (G,) bool or None.

    An ignored object is COCO's crowd: finding it any number of times is neither rewarded nor punished, and the overlap
    with it is measured against the detection's own area.
    """

    boxes: Tensor
    labels: Tensor
    ignore: Tensor | None = None


def objects(batch: Batch) -> list[Objects]:
    """The truth of a batch, image by image; ValueError when its source has no boxes."""
    if batch.boxes is None or batch.box_labels is None:
        raise ValueError("data: this source has no boxes; choose scenes:scene64, coco:FILE.json or voc:PATH")
    ignore: Sequence[Tensor | None] = batch.box_ignore or [None] * len(batch)
    return [Objects(*one) for one in zip(batch.boxes, batch.box_labels, ignore, strict=True)]


def tables(found: Sequence[Detections] | Sequence[Objects]) -> Tensor:
    """(B, 12, 6) as a figure of boxes wants them: see `engine.ops.assign.rows`."""
    return torch.stack([rows(one.boxes, one.labels, getattr(one, "scores", None)) for one in found])


@dataclass(frozen=True)
class AveragePrecision:
    """ap, ap50, ap75 in [0, 1], NaN when there is no object at all; per_class (K,) AP, NaN for a class without objects.

    precision (10, 101, K): at each of `THRESHOLDS` and `RECALLS`, NaN for a class without objects.
    """

    precision: np.ndarray

    @property
    def ap(self) -> float:
        return _mean(self.precision)

    @property
    def ap50(self) -> float:
        return _mean(self.precision[0])

    @property
    def ap75(self) -> float:
        return _mean(self.precision[5])

    @property
    def per_class(self) -> np.ndarray:
        return self.precision.mean(axis=(0, 1))


def average_precision(
    found: Sequence[Detections],
    truth: Sequence[Objects],
    classes: int,
    area_range: tuple[float, float] = (0, float("inf")),
) -> AveragePrecision:
    """COCO AP of `found` against `truth`, image by image.

    area_range: objects smaller or larger (in square pixels) are ignored, and so are detections outside the range that
    match nothing; for "AP of small objects" and the like. For class-agnostic AP give zeros as labels and classes = 1.
    """
    if len(found) != len(truth):
        raise ValueError(f"found and truth: expected the same images, got {len(found)} and {len(truth)}")
    if classes < 1:
        raise ValueError(f"classes: expected 1 or more, got {classes}")
    matches: list[list[_Matches]] = [[] for _ in range(classes)]
    for image, (detections, objects) in enumerate(zip(found, truth, strict=True)):
        _check(detections, objects, classes, image)
        _match_image(detections, objects, area_range, matches)
    return AveragePrecision(np.stack([_precision(per_image) for per_image in matches], axis=-1))


@dataclass(frozen=True)
class _Matches:
    """One image and class, detections from the highest score: at each threshold whether they hit, and count at all."""

    scores: np.ndarray  # (D,)
    hit: np.ndarray  # (10, D) bool
    counts: np.ndarray  # (10, D) bool
    objects: int  # that are not ignored


def _match_image(
    detections: Detections, objects: Objects, area_range: tuple[float, float], matches: list[list[_Matches]]
) -> None:
    """Appends the image's `_Matches` to those of every class that occurs in it."""
    boxes, truth = (value.detach().cpu().double().reshape(-1, 4) for value in (detections.boxes, objects.boxes))
    scores = detections.scores.detach().cpu().double().numpy()
    labels, truth_labels = detections.labels.cpu().numpy(), objects.labels.cpu().numpy()
    crowd = np.zeros(len(truth), dtype=bool) if objects.ignore is None else objects.ignore.cpu().numpy()
    shared = intersection(boxes[:, None], truth)
    whole = area(boxes)[:, None] + torch.where(torch.from_numpy(crowd), 0, area(truth) - shared)
    overlaps = ratio(shared, whole).numpy()
    outside, truth_outside = (
        (sizes < area_range[0]) | (sizes > area_range[1]) for sizes in (area(boxes).numpy(), area(truth).numpy())
    )
    order = np.argsort(-scores, kind="stable")
    for label in np.union1d(labels, truth_labels):
        rows = order[labels[order] == label][:MOST_PER_IMAGE]
        columns = np.flatnonzero(truth_labels == label)
        ignored = (crowd | truth_outside)[columns]
        hit, on_ignored = _match(overlaps[np.ix_(rows, columns)], crowd[columns], ignored)
        counts = ~on_ignored & (hit | ~outside[rows])
        matches[label].append(_Matches(scores[rows], hit, counts, int((~ignored).sum())))


def _match(overlaps: np.ndarray, crowd: np.ndarray, ignored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Greedy matching of D detections, from the highest score, to G objects at the ten thresholds at once.

    Each takes the free object it overlaps most, one that counts before one that is ignored, the last of equals; only a
    crowd can be taken again. Returns (10, D) bool twice: matched at all, matched to an ignored object.
    """
    detections, objects = overlaps.shape
    hit = np.zeros((len(THRESHOLDS), detections), dtype=bool)
    on_ignored = np.zeros_like(hit)
    free = np.ones((len(THRESHOLDS), objects), dtype=bool)
    needed = THRESHOLDS[:, None]
    every = np.arange(len(THRESHOLDS))
    for row in np.flatnonzero(overlaps.max(axis=1, initial=0) >= needed[0]):
        eligible = (overlaps[row] >= needed) & (free | crowd)
        eligible &= ~ignored | ~(eligible & ~ignored).any(axis=1, keepdims=True)
        pick = objects - 1 - np.where(eligible, overlaps[row], -1)[:, ::-1].argmax(axis=1)
        hit[:, row] = eligible[every, pick]
        on_ignored[:, row] = hit[:, row] & ignored[pick]
        free[every, pick] &= ~hit[:, row]
    return hit, on_ignored


def _precision(matches: list[_Matches]) -> np.ndarray:
    """Interpolated precision of one class at the thresholds and recall levels, (10, 101); NaN without objects."""
    objects = sum(match.objects for match in matches)
    if not objects:
        return np.full((len(THRESHOLDS), len(RECALLS)), np.nan)
    order = np.argsort(-np.concatenate([match.scores for match in matches]), kind="stable")
    hit = np.concatenate([match.hit for match in matches], axis=1)[:, order]
    counts = np.concatenate([match.counts for match in matches], axis=1)[:, order]
    right = np.cumsum(hit & counts, axis=1, dtype=np.float64)
    wrong = np.cumsum(~hit & counts, axis=1, dtype=np.float64)
    recall = right / objects
    precision = right / np.maximum(right + wrong, 1)
    # Precision at recall r is the best precision at r or beyond, and 0 beyond the largest recall.
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    envelope = np.concatenate((envelope, np.zeros((len(THRESHOLDS), 1))), axis=1)
    return np.stack([row[np.searchsorted(reached, RECALLS)] for row, reached in zip(envelope, recall, strict=True)])


def _mean(precision: np.ndarray) -> float:
    known = precision[~np.isnan(precision)]
    return float(known.mean()) if known.size else float("nan")


def _check(detections: Detections, objects: Objects, classes: int, image: int) -> None:
    if not len(detections.boxes) == len(detections.scores) == len(detections.labels):
        sizes = f"{len(detections.boxes)}, {len(detections.scores)}, {len(detections.labels)}"
        raise ValueError(f"found[{image}]: boxes, scores and labels must pair, got {sizes}")
    if len(objects.boxes) != len(objects.labels) or (
        objects.ignore is not None and objects.ignore.shape != objects.labels.shape
    ):
        raise ValueError(f"truth[{image}]: boxes, labels and ignore must pair")
    if detections.scores.isnan().any():
        raise ValueError(f"found[{image}]: scores must not be NaN")
    for name, labels in (("found", detections.labels), ("truth", objects.labels)):
        if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            span = f"{int(labels.min())} to {int(labels.max())}"
            raise ValueError(f"{name}[{image}]: expected labels 0 to {classes - 1}, got {span}")
