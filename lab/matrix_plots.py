"""Heat maps of named rows and columns as Vega-Lite specifications; those side by side are on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lab.pictures import HEAT, words
from lab.plots import Plot

HEAT_CODES = tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in HEAT)


def range_of(names: Sequence[str], values: Mapping[str, Any]) -> tuple[float, float]:
    """The least and the largest of all that is reported under these names."""
    every = np.concatenate([np.asarray(values[name], np.float64).ravel() for name in names])
    return float(np.nanmin(every)), float(np.nanmax(every))


def matrix(name: str, values: Mapping[str, Any], among: Sequence[str]) -> Plot:
    """A heat map of (R, C) with its numbers; named by `rows` and `columns` where they fit, else by `classes`.

    among: the names of those that stand beside it, itself one of them: a colour means the same in all.
    """
    table = np.asarray(values[name], np.float64)
    down, across = (
        next((named for named in (values.get(axis, ()), values.get("classes", ())) if len(named) == size),
             [str(i) for i in range(size)])
        for axis, size in zip(("rows", "columns"), table.shape, strict=True)
    )  # fmt: skip
    rows: dict[str, list[Any]] = {
        "row": [down[i] for i in range(len(down)) for _ in across],
        "column": [word for _ in down for word in across],
        "value": table.ravel().tolist(),
    }
    low, high = range_of(among, values)
    middle = (low + high) / 2
    many = table.size > 400
    axis: dict[str, Any] = {"title": None, "labelLimit": 140, "labels": not many, "ticks": not many,
                            "labelOverlap": False}  # fmt: skip
    turned = -40 if max(map(len, across)) > 8 else 0  # a cell is about eight letters wide
    places = {
        "x": {"field": "column", "type": "ordinal", "sort": across, "axis": axis | {"labelAngle": turned}},
        "y": {"field": "row", "type": "ordinal", "sort": down, "axis": axis},
    }
    tooltip = [{"field": "row"}, {"field": "column"}, {"field": "value", "format": ".4g"}]
    shade = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": [low, high], "range": list(HEAT_CODES)},
        "legend": None,
    }
    cell = {"type": "rect", "width": {"band": 1.04}, "height": {"band": 1.04}}
    layers: list[dict[str, Any]] = [{"mark": cell, "encoding": {"color": shade, "tooltip": tooltip}}]
    if not many:
        ink = {"condition": {"test": f"datum.value > {middle}", "value": "#1d1c1a"}, "value": "white"}
        whole = bool(np.all(np.round(table) == table))
        number = {"field": "value", "type": "quantitative", "format": "d" if whole else ".2f"}
        layers.append({"mark": {"type": "text", "fontSize": 13}, "encoding": {"text": number, "color": ink}})
    height, width = (380, 420) if many else (100 + 56 * len(down), 140 + 64 * len(across))
    return Plot({"title": words(name), "height": height, "encoding": places, "layer": layers}, rows, width)
