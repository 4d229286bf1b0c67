"""Features over time as moving points in a plane, with numpy alone: a page draws them before torch is loaded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def plane(features: np.ndarray, scaled: bool = True) -> tuple[np.ndarray, float]:
    """Places (N, 2) along the two principal components of features (N, D), and their share of the variance.

    The places are centred and, if `scaled`, have a mean squared radius of 1; all lie at 0 where nothing varies. N >= 1.
    """
    flat = features.astype(np.float64) - features.mean(0, dtype=np.float64)
    spectrum, axes = np.linalg.eigh(flat.T @ flat)
    places = np.zeros((len(flat), 2))
    found = flat @ axes[:, ::-1][:, :2]
    places[:, : found.shape[1]] = found
    whole, kept = spectrum.sum(), np.square(places).sum()
    if whole <= 1e-12 * max(1.0, float(np.square(features.astype(np.float64)).sum())):
        return np.zeros_like(places), 0.0
    return places / (np.sqrt(kept / len(places)) if scaled else 1.0), float(kept / whole)


def turn(places: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The orthogonal R (2, 2) that brings `places` @ R nearest to `target`, both (N, 2) (Schönemann 1966).

    It turns and mirrors, and neither moves nor stretches: sum ||places R - target||^2 is as small as it can be.
    """
    left, _, right = np.linalg.svd(places.T @ target)
    return left @ right


def moving(steps: Sequence[np.ndarray], scaled: bool = True) -> tuple[np.ndarray, list[float]]:
    """Places (T, N, 2) of the points at each of T steps, and each step's share of the variance (see `plane`).

    steps: features (n, D) of the first n points, N the largest n; a place that is not known is NaN. Each step is turned
    and mirrored onto the last one that has points, by the points of both, so that points move as little as they can.
    """
    most = max((len(features) for features in steps), default=0)
    course, shares = np.full((len(steps), most, 2), np.nan), []
    before = np.empty((0, 2))
    for at, features in enumerate(steps):
        places, share = plane(features, scaled) if len(features) else (np.empty((0, 2)), 0.0)
        shares.append(share)
        both = min(len(places), len(before))
        if both:
            places = places @ turn(places[:both], before[:both])
        course[at, : len(places)] = places
        before = places if len(places) else before
    return course, shares
