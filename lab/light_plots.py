"""Plots that the browser draws itself from numbers, because a hand waits for them: heat maps, bars, small curves.

A converter takes 40 to 130 ms for the same. Each function gives None for what is better left to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lab import matrix_plots, plots
from lab.pictures import COLOURS
from lab.sweep_plots import INK, PAPER, light, shade

CELLS, POINTS = 400, 60
"""Cells that are few enough for their numbers; points of a small curve."""
APART = 8
"""Curves above this number stand apart, each in a frame of its own."""


def heat(name: str, values: Mapping[str, Any], among: Sequence[str]) -> dict[str, Any] | None:
    """A heat map of (R, C) with its numbers: a table whose cells are shaded, on one scale with those `among` it."""
    plot = matrix_plots.matrix(name, values, among)
    shape = np.shape(values[name])
    if shape[0] * shape[1] > CELLS:
        return None
    table = np.asarray(values[name], np.float64)
    low, high = matrix_plots.range_of(among, values) if table.size else (0.0, 0.0)
    whole = bool(np.all(np.round(table) == table))
    fills = [[shade((value - low) / (high - low) if high > low else 1.0) for value in row] for row in table.tolist()]
    return {"heat": {
        "title": plot.spec["title"], "rows": plot.rows["row"][:: shape[1]], "columns": plot.rows["column"][: shape[1]],
        "cells": [[f"{value:.0f}" if whole else f"{value:.2f}" for value in row] for row in table.tolist()],
        "fills": fills, "inks": [[INK if light(fill) else PAPER for fill in row] for row in fills],
    }}  # fmt: skip


def bars(names: Sequence[str], values: Mapping[str, Any]) -> dict[str, Any] | None:
    """K bars a name; None where one is negative or no number."""
    rows = plots.bars(names, values).rows
    if not all(value >= 0 for value in rows["value"]):
        return None
    shown = list(dict.fromkeys(rows["name"]))
    count = len(rows["value"]) // len(shown)
    return {"bars": {
        "labels": rows["label"][:count], "most": max(rows["value"], default=0.0) or 1.0,
        "series": [{"name": name, "colour": COLOURS[i % len(COLOURS)],
                    "values": rows["value"][i * count : (i + 1) * count],
                    "said": [short(value) for value in rows["value"][i * count : (i + 1) * count]]}
                   for i, name in enumerate(shown)],
    }}  # fmt: skip


def short(value: float) -> str:
    """A number beside its bar."""
    return "< 0.001" if 0 < value < 0.001 else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def small_curves(names: Sequence[str], values: Mapping[str, Any], over: str) -> dict[str, Any] | None:
    """Many curves, each in a small frame, all on one scale; None for few of them.

    What is reported under "<name> says" stands with its curve; one in capitals warns.
    """
    if len(names) <= APART:
        return None
    shown = plots.shorter(names)
    points = {name: plots.thin(np.asarray(values[name], np.float64), POINTS) for name in names}
    every = np.concatenate(list(points.values()))
    notes = {name: str(values.get(f"{name} says", [""])[0]) for name in names}
    return {"curves": {
        "over": over, "low": every.min(axis=0).tolist(), "high": every.max(axis=0).tolist(),
        "each": [{"name": shown[name], "note": notes[name], "warns": notes[name].isupper(),
                  "points": points[name].round(5).tolist()} for name in names],
    }}  # fmt: skip
