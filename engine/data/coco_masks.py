"""COCO's two ways of writing a mask down: polygons and run lengths, drawn exactly as COCO's own tools draw them.

Masks are column-major in this format: position p is column p // height, row p % height.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FINE = 5
"""Polygon corners are rounded to a fifth of a pixel."""


def rle_counts(text: str | bytes) -> list[int]:
    """The run lengths in a compressed string.

    A number is written in groups of five bits, the lowest first, each as chr(48 + bits), with bit 32 set when more
    follow; the last group's bit 16 is the sign. From the fourth number on it is the difference from the one two before.
    """
    codes = text if isinstance(text, bytes) else text.encode("ascii")
    counts: list[int] = []
    at = 0
    while at < len(codes):
        value, shift, more = 0, 0, True
        while more:
            if at == len(codes):
                raise ValueError("the run lengths end in the middle of a number")
            bits = codes[at] - 48
            if not 0 <= bits < 64:
                raise ValueError(f"the run lengths hold the character {chr(codes[at])!r}; allowed are '0' to 'o'")
            value |= (bits & 31) << shift
            shift += 5
            more = bool(bits & 32)
            at += 1
        if bits & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts


def rle_mask(counts: str | bytes | Sequence[int], height: int, width: int) -> np.ndarray:
    """(height, width) bool from run lengths, which begin with a run of zeros and add up to height x width."""
    runs = np.array(rle_counts(counts) if isinstance(counts, str | bytes) else counts, dtype=np.int64)
    if runs.size == 0 or (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"the run lengths add up to {runs.sum()}, the image has {height} x {width} pixels")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def polygon_mask(polygons: Sequence[Sequence[float]], height: int, width: int) -> np.ndarray:
    """(height, width) bool: the union of polygons, each flat as x0, y0, x1, y1, ..."""
    mask = np.zeros((height, width), dtype=bool)
    for corners in polygons:
        mask |= _filled(np.asarray(corners, dtype=np.float64).reshape(-1, 2), height, width)
    return mask


def _filled(corners: np.ndarray, height: int, width: int) -> np.ndarray:
    """Where a walk along the outline enters another column of pixel centres, everything below changes sides."""
    x, y = _outline(np.trunc(FINE * corners + 0.5).astype(np.int64)).T
    moved = np.flatnonzero(np.diff(x))
    column = (np.minimum(x[moved], x[moved + 1]) + 0.5) / FINE - 0.5
    row = np.ceil(((np.minimum(y[moved], y[moved + 1]) + 0.5) / FINE - 0.5).clip(0, height)).astype(np.int64)
    inside = (column == np.floor(column)) & (column >= 0) & (column <= width - 1)
    flips = np.bincount(column[inside].astype(np.int64) * height + row[inside], minlength=height * width + 1)
    return (np.cumsum(flips[: height * width]) % 2 == 1).reshape(width, height).T


def _outline(corners: np.ndarray) -> np.ndarray:
    """The grid points (n, 2) along the closed polygon, corner to corner, one step along the longer axis at a time."""
    points = []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        delta = end - start
        long = 0 if abs(delta[0]) >= abs(delta[1]) else 1
        steps = abs(int(delta[long]))
        # Each edge is walked from its lower end, so that both ways round give the same points.
        low, high = (start, end) if delta[long] >= 0 else (end, start)
        along = np.arange(steps + 1)
        slope = (high[1 - long] - low[1 - long]) / steps if steps else 0.0
        edge = np.empty((steps + 1, 2), dtype=np.int64)
        edge[:, long] = low[long] + along
        edge[:, 1 - long] = np.trunc(low[1 - long] + slope * along + 0.5)
        points.append(edge if delta[long] >= 0 else edge[::-1])
    return np.concatenate(points)
