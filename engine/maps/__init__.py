"""Maps: features in the plane, each a generator of ever better layouts. `MAPS` names them.

fit(features (N, D), params, generator=None, earlier=None) yields layouts (N, 2) in float32 on the features' device, the
last of which is the map; none is changed after it was given. generator: on that device; None: a new one from
`params.seed`.
earlier: a layout (N, 2) of the same points, from an earlier step or another checkpoint, that the map begins with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from engine.maps import pca, tsne, umap
from engine.params import Params

MAPS: dict[str, tuple[type[Params], Callable[..., Iterator[Tensor]]]] = {
    "umap": (umap.UmapParams, umap.fit),
    "tsne": (tsne.TsneParams, tsne.fit),
    "pca": (pca.PcaParams, pca.fit),
}
"""Name -> (params, fit)."""


def layouts(name: str, features: Tensor, values: Mapping[str, Any], earlier: Tensor | None = None) -> Iterator[Tensor]:
    """Those of the map called `name`, with these knobs on top of its demo. ValueError: what is wrong."""
    if name not in MAPS:
        raise ValueError(f"there is no map {name!r}; choose one of {', '.join(MAPS)}")
    params, fit = MAPS[name]
    return fit(features, params.make(values), earlier=earlier)
