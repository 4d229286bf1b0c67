"""Which points lie in a polygon that somebody drew, with numpy alone."""

from __future__ import annotations

import numpy as np

MOST = 10_000
"""Corners of a polygon."""


def inside(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """(N,) bool for points (N, 2) and the corners (V, 2) of a polygon, in order: whether a ray from the point to the
    right crosses its sides an odd number of times. So a loop that is drawn twice over is a hole.

    Corners belong to the side below them, so that a ray through one is counted once. Points that are not finite are
    outside. Sorted by height, a side meets its own points only, and the time goes with those, not with N times V.
    """
    points, polygon = np.asarray(points, np.float64), np.asarray(polygon, np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points: expected (N, 2), got shape {points.shape}")
    if polygon.ndim != 2 or polygon.shape[1] != 2 or not 3 <= len(polygon) <= MOST:
        raise ValueError(f"polygon: expected (V, 2) with 3 to {MOST} corners, got shape {polygon.shape}")
    if not np.isfinite(polygon).all():
        raise ValueError("polygon: expected finite corners; draw it again")
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    there = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
    there = there[np.argsort(points[there, 1], kind="stable")]
    x, y = points[there].T
    odd = np.zeros(len(there), bool)
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y1 == y2:
            continue
        first, last = np.searchsorted(y, (min(y1, y2), max(y1, y2)))
        met = slice(first, last)
        odd[met] ^= x[met] < x1 + (y[met] - y1) * ((x2 - x1) / (y2 - y1))
    found = np.zeros(len(points), bool)
    found[there[odd]] = True
    return found
