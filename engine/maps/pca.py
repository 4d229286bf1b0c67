"""Principal component analysis: the plane in which features vary most (Pearson 1901). The least that a map can do."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from engine.maps.start import checked, mappable, principal_places
from engine.ops.neighbours import Metric
from engine.ops.plane import turn
from engine.params import Params, knob


class PcaParams(Params):
    metric: Metric = knob("euclidean", "cosine: of features brought to unit length first")


def fit(
    features: Tensor, params: PcaParams, generator: torch.Generator | None = None, earlier: Tensor | None = None
) -> Iterator[Tensor]:
    """The one layout there is, turned and mirrored onto `earlier` where it is given. Nothing is drawn at random."""
    places = principal_places(mappable(features, params.metric))
    if earlier is not None:
        target = checked(earlier, features)
        way = turn(places.cpu().double().numpy(), (target - target.mean(dim=0)).cpu().double().numpy())
        places = places @ torch.from_numpy(way).to(places)
    yield places
