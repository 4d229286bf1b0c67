"""Where a map begins: features that can be mapped, a random generator, a first layout."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.ops.neighbours import Metric, prepared
from engine.ops.principal import principal_axes

FEWEST = 3


def mappable(features: Tensor, metric: Metric) -> Tensor:
    """The features in float32, of unit length for cosine. ValueError: fewer than FEWEST rows, or not finite."""
    rows = prepared(features, metric)
    if len(rows) < FEWEST:
        raise ValueError(f"features: a map needs {FEWEST} points or more, got {len(rows)}")
    return rows


def seeded(features: Tensor, generator: torch.Generator | None, seed: int) -> torch.Generator:
    """The generator itself, or a new one where the features are."""
    return generator or torch.Generator(features.device).manual_seed(seed)


def checked(earlier: Tensor, features: Tensor) -> Tensor:
    """An earlier layout (N, 2) in float32 where the features are. ValueError when it does not fit them."""
    if earlier.shape != (len(features), 2) or not earlier.isfinite().all():
        raise ValueError(
            f"earlier: expected a finite layout ({len(features)}, 2) of the same points, got {tuple(earlier.shape)}"
        )
    return earlier.to(features.device, torch.float32)


def principal_places(features: Tensor) -> Tensor:
    """Places (N, 2) along the two principal axes, about 0; the second is 0 where features have one column."""
    flat = features - features.mean(dim=0)
    places = flat @ principal_axes(features, min(2, features.shape[1]))
    return torch.cat((places, places.new_zeros(len(places), 2 - places.shape[1])), dim=1)
