"""Which cells of a sweep count in the lines through all knobs: a filter for each knob, and one for the figure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import streamlit as st

from lab.pictures import words
from lab.runs.cells import Cell
from lab.runs.grid import as_word
from lab.runs.sweep import Sweep
from lab.sweep_plots import digits

ACROSS = 5
"""Filters in a row."""


def filters(sweep: Sweep, found: Sequence[Cell], figure: str) -> list[bool]:
    """The filters, and for each cell whether it passes them all."""
    grid = sweep.plan.grid
    columns = st.columns(min(ACROSS, len(grid) + 1), gap="medium")
    chosen: dict[str, Collection[Any]] = {}
    for place, (knob, values) in enumerate(grid.items()):
        with columns[place % ACROSS]:
            chosen[knob] = some_of(knob, values, f"only-{sweep.id}-{knob}")
    with columns[len(grid) % ACROSS]:
        span = between(found, figure, f"only-{sweep.id}-figure-{figure}")
    return [passes(cell, chosen, span) for cell in found]


def passes(cell: Cell, chosen: Mapping[str, Collection[Any]], span: tuple[float, float] | None) -> bool:
    """Whether a cell's knobs are among those chosen, and its figure, once it has one, lies in `span`."""
    if any(cell.place[knob] not in values for knob, values in chosen.items()):
        return False
    return span is None or cell.mean is None or span[0] <= cell.mean <= span[1]


def some_of(knob: str, values: Sequence[Any], key: str) -> Collection[Any]:
    """Of numbers a range; of words any. None chosen means all."""
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    if len(values) < 2:
        return values
    if numbers:
        low, high = st.select_slider(
            words(knob), sorted(values), (min(values), max(values)), format_func=as_word, key=key
        )
        return [value for value in values if low <= value <= high]
    picked = st.pills(words(knob), values, selection_mode="multi", format_func=as_word, key=key)
    return picked or values


def between(found: Sequence[Cell], figure: str, key: str) -> tuple[float, float] | None:
    """A range of the figure; None where all cells have the same. Its ends are rounded outwards, so that all are in."""
    means = [cell.mean for cell in found if cell.mean is not None]
    if len(set(means)) < 2:
        return None
    places = digits(means)
    step = 10.0**-places
    low, high = round(min(means) - step, places), round(max(means) + step, places)
    given = st.slider(words(figure), low, high, (low, high), step, format=f"%.{places}f", key=key)
    return (float(given[0]), float(given[1]))
