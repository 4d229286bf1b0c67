"""What can be measured on a picture and said in a word: how tall it is, how symmetric, in how many pieces. No learning.

Ink is what differs from the background, which is what most of a picture's edge shows: so white things on black are
measured like black things on white. With numpy and OpenCV, all pictures at once.
"""

from __future__ import annotations

import numpy as np

NAMES = ("ink", "height", "symmetry", "pieces", "holes", "top", "edges", "filling")
"""The columns of `attributes`."""
LEVEL, SPECK, ROOM = 0.2, 0.01, 1 << 24
"""Ink is what is at least so strong, as a share of the picture's strongest; pieces and holes are at least so large, as
a share of the picture's pixels; pixels that are measured at once."""


def attributes(images: np.ndarray) -> np.ndarray:
    """(N, 8) float32 of pictures (N, C, H, W), uint8 or in [0, 1]; columns as `NAMES`.

    ink: the mean. height: of the box around the ink over its width. symmetry: see there. pieces, holes: counts. top:
    the share of the ink that is in the upper half of that box. edges: the mean change from pixel to pixel over the mean
    ink. filling: the share of that box that has ink. A picture without ink is 1 high, wholly symmetric and half top.
    """
    if images.ndim != 4 or min(images.shape) < 1 or min(images.shape[2:]) < 2:
        raise ValueError(f"images: expected (N, C, H, W), 2 pixels or more a side, got shape {images.shape}")
    each = max(1, ROOM // images[0].size)
    return np.concatenate([_attributes(images[first : first + each]) for first in range(0, len(images), each)])


def _attributes(images: np.ndarray) -> np.ndarray:
    strong = ink(images)
    least_strong = np.maximum(LEVEL * strong.max(axis=(1, 2), keepdims=True), 1 / 255)
    there = np.asarray(strong >= least_strong - 1e-4)  # greys come in steps: one that is just so strong always counts
    boxes = bounds(there)
    top, bottom, left, right = boxes.T
    inside = there.sum(axis=(1, 2)) / np.maximum((bottom - top) * (right - left), 1)
    least = max(1, round(SPECK * there[0].size))
    amount = strong.mean(axis=(1, 2))
    change = np.abs(np.diff(strong, axis=1)).mean(axis=(1, 2)) + np.abs(np.diff(strong, axis=2)).mean(axis=(1, 2))
    columns = (
        amount, np.maximum(bottom - top, 1) / np.maximum(right - left, 1), symmetry(strong, boxes),
        components(there, least), holes(there, least), upper_share(strong, boxes),
        change / np.maximum(amount, 1e-6), inside,
    )  # fmt: skip
    return np.stack(columns, axis=1).astype(np.float32)


def ink(images: np.ndarray) -> np.ndarray:
    """(N, H, W) float32 in [0, 1]: how far each pixel's grey is from the median of the picture's edge."""
    grey = images.mean(axis=1, dtype=np.float32) / (255 if images.dtype == np.uint8 else 1)
    edge = np.concatenate([grey[:, 0], grey[:, -1], grey[:, 1:-1, 0], grey[:, 1:-1, -1]], axis=1)
    return np.abs(grey - np.median(edge, axis=1)[:, None, None])


def bounds(there: np.ndarray) -> np.ndarray:
    """(N, 4) int64: top, bottom, left, right of what is True in (N, H, W), half open; all 0 where nothing is."""
    found = []
    for axis in (2, 1):
        line = np.asarray(np.any(there, axis=axis))
        first, last = line.argmax(axis=1), line.shape[1] - line[:, ::-1].argmax(axis=1)
        found += [np.where(np.any(line, axis=1), edge, 0) for edge in (first, last)]
    return np.stack(found, axis=1)


def symmetry(strong: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,) in [0, 1]: 1 - sum |I - M| / sum (I + M), where M is the ink I mirrored about the middle of its box, left to
    right; what falls outside the picture is lost. 1 without ink."""
    width = strong.shape[2]
    from_ = boxes[:, 2:].sum(axis=1)[:, None] - 1 - np.arange(width)
    mirrored = np.take_along_axis(strong, from_.clip(0, width - 1)[:, None], axis=2)
    mirrored *= ((from_ >= 0) & (from_ < width))[:, None]
    whole = (strong + mirrored).sum(axis=(1, 2))
    return 1 - np.abs(strong - mirrored).sum(axis=(1, 2)) / np.maximum(whole, 1e-9)


def upper_share(strong: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,) the share of ink that lies above the middle of its box; the row that the middle cuts counts half."""
    rows = np.arange(strong.shape[1]) + 0.5
    weight = (boxes[:, :2].mean(axis=1)[:, None] - rows + 0.5).clip(0, 1)
    per_row = strong.sum(axis=2)
    whole = per_row.sum(axis=1)
    return np.where(whole > 0, (per_row * weight).sum(axis=1) / np.maximum(whole, 1e-9), 0.5)


def components(there: np.ndarray, least: int = 1) -> np.ndarray:
    """(N,) int64: into how many pieces of `least` pixels or more (N, H, W) bool falls; corners that touch join."""
    return _pieces(np.pad(there, ((0, 0), (1, 1), (0, 0))), least, 8)


def holes(there: np.ndarray, least: int = 1) -> np.ndarray:
    """(N,) int64: how many parts of the background, of `least` pixels or more, are shut in. They join at sides only."""
    framed = np.pad(~there, ((0, 0), (1, 1), (1, 1)), constant_values=True)  # so that all that is outside is one piece
    return _pieces(np.pad(framed, ((0, 0), (0, 1), (0, 0))), least, 4)


def _pieces(rows: np.ndarray, least: int, connectivity: int) -> np.ndarray:
    """Pieces in each of (N, H, W) bool, whose last rows are False, without those that begin in a first row.

    All pictures are one tall picture here, so that one call finds all.
    """
    import cv2  # it takes a while, and a page wants the names before it wants anything measured

    count, height, width = rows.shape
    tall = rows.reshape(count * height, width).astype(np.uint8)
    found = cv2.connectedComponentsWithStats(tall, connectivity=connectivity)[2][1:]
    tops = found[found[:, cv2.CC_STAT_AREA] >= least, cv2.CC_STAT_TOP]
    return np.bincount(tops[tops % height > 0] // height, minlength=count)
