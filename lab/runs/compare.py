"""Runs side by side: what was asked of them, what they reported on a common axis, and which stored steps belong
together."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from engine.data import list_data
from engine.folder import Plan
from lab.runs.index import find
from lab.runs.run import Run
from lab.runs.series import Series

FEWEST, MOST, CHOSEN = 2, 20, 8
"""Runs that are compared: at least, at most, and as many as one chooses from the list and still tells apart."""
KEPT = 64
"""Runs whose series are kept in memory."""
Over = Literal["step", "epoch", "wall clock"]


def compared(words: str) -> list[Run]:
    """The runs whose ids stand in `words`, separated by commas. ValueError: too few, too many, or one is not there."""
    ids = list(dict.fromkeys(filter(None, (word.strip() for word in words.split(",")))))
    if not FEWEST <= len(ids) <= MOST:
        raise ValueError(f"{len(ids)} {'run is' if len(ids) == 1 else 'runs are'} named; choose {FEWEST} to {CHOSEN}")
    return [find(id) for id in ids]


def labels(runs: Sequence[Run]) -> list[str]:
    """What each run is called here: its name, with the end of its id where two have the same; without a name its id."""
    names = [run.plan.name or run.id for run in runs]
    often = Counter(names)
    return [name if often[name] == 1 else f"{name} {run.id[-11:]}" for name, run in zip(names, runs, strict=True)]


# What was asked


@dataclass(frozen=True)
class Difference:
    """A row of the comparison: one knob, its value in each run (None where a run has no such knob)."""

    name: str
    values: tuple[Any, ...]

    @property
    def differs(self) -> bool:
        return any(value != self.values[0] for value in self.values)


def differences(*runs: Run) -> list[Difference]:
    """What was asked of the runs, knob by knob: those that differ first, else in the order of declaration."""
    asked = [{"method": run.plan.method, **run.plan.values, **run.plan.setup} for run in runs]
    names = dict.fromkeys(name for one in asked for name in one)
    rows = [Difference(name, tuple(one.get(name) for one in asked)) for name in names]
    return sorted(rows, key=lambda row: not row.differs)


# What was reported


@dataclass(frozen=True)
class Columns:
    """A run's series: steps (N,), seconds (N,), and each number (N,), NaN where a step did not report it."""

    steps: np.ndarray
    seconds: np.ndarray
    numbers: dict[str, np.ndarray]


_kept: OrderedDict[Path, tuple[Series, int, Columns]] = OrderedDict()
_reading = threading.Lock()


def columns(run: Run) -> Columns:
    """The series of a run; read once, and what is new only when its file has another size."""
    path = run.folder / "metrics.jsonl"
    size = path.stat().st_size if path.exists() else 0
    with _reading:
        series, known, found = _kept.pop(path, (None, -1, None))
        if series is None or known > size:
            series = Series(run.folder)
        if found is None or known != size:
            found = as_columns(series.read())
        _kept[path] = series, size, found
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return found


def as_columns(rows: Sequence[dict[str, Any]]) -> Columns:
    """Rows as `Series.read` gives them, number by number."""
    names = dict.fromkeys(name for row in rows for name in row)
    found = {name: np.array([row.get(name) for row in rows], np.float64) for name in names}
    none = np.empty(0)
    return Columns(found.pop("step", none), found.pop("time", none), found)


def shared(series: Sequence[Columns]) -> list[str]:
    """The numbers that two runs or more reported, in the order of the first that did."""
    counts = Counter(name for one in series for name, values in one.numbers.items() if np.isfinite(values).any())
    return [name for name in dict.fromkeys(name for one in series for name in one.numbers) if counts[name] >= FEWEST]


def epoch_steps(plan: Plan) -> float | None:
    """Optimiser steps that see as many pictures as the training set has; None where the knobs do not tell."""
    asked = plan.values
    there = {source.spec: source.count for source in list_data()}
    count, batch = there.get(str(asked.get("data"))), asked.get("batch")
    if not count or not batch or "labelled" in asked:  # pictures without labels may or may not count
        return None
    return min(count, asked.get("train_images") or count) / batch


def curve(series: Columns, name: str, over: Over, epoch: float | None = None) -> np.ndarray:
    """Points (N, 2) of one number: where they lie, and its value. over the wall clock in seconds since the start.

    ValueError when epochs are asked for and not known.
    """
    values = series.numbers.get(name, np.full(len(series.steps), np.nan))
    if over == "epoch" and epoch is None:
        raise ValueError("the length of an epoch is not known from this run's knobs")
    along = series.seconds if over == "wall clock" else series.steps / epoch if over == "epoch" else series.steps
    points = np.stack([along, values], 1)
    return points[np.isfinite(points).all(1)]


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """The mean over `window` points around each; over those there are at the ends."""
    reach = min(max(window, 1) // 2, len(values))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at = np.arange(len(values))
    first, last = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


@dataclass(frozen=True)
class Summary:
    """One number of one run: its last value, the lowest and the highest, and the steps at which they were."""

    last: float
    lowest: float
    lowest_at: int
    highest: float
    highest_at: int


def summary(points: np.ndarray) -> Summary | None:
    """points: (N, 2) steps and values, as `curve` gives them; None when there are none."""
    if not len(points):
        return None
    low, high = points[points[:, 1].argmin()], points[points[:, 1].argmax()]
    return Summary(float(points[-1, 1]), float(low[1]), int(low[0]), float(high[1]), int(high[0]))


# What was stored


def aligned(steps: Sequence[Sequence[int]]) -> list[tuple[int, list[int]]]:
    """Each run's stored steps, ascending and one or more -> all of them in order, each with every run's nearest (of two
    equally near the earlier)."""
    every = sorted({step for own in steps for step in own})
    return [(at, [min(own, key=lambda step: abs(step - at)) for own in steps]) for at in every]
