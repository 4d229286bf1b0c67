"""What the cells of a sweep have come to: figures over seeds, states, progress."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from lab.runs.grid import cells as places
from lab.runs.run import Run
from lab.runs.sweep import Sweep, Take

ORDER = ("running", "starting", "pausing", "cancelling", "failed", "lost", "queued", "missing", "paused", "cancelled")
"""Of the states of a cell's runs, the one that comes first here is the cell's; done when all are."""


class Course(NamedTuple):
    """A number of a run: its last, lowest and highest value."""

    last: float
    low: float
    high: float


@dataclass(frozen=True)
class Cell:
    """One combination of knobs. runs, states: of each seed in order; figures: of the seeds that are done."""

    place: Mapping[str, Any]
    runs: Sequence[Run | None]
    states: Sequence[str]
    figures: Sequence[float]
    progress: float
    """Share of all steps of all seeds that is done, 0 to 1."""
    cause: str
    """Why a run of it failed, in one line."""

    @property
    def state(self) -> str:
        return next((state for state in ORDER if state in self.states), "done")

    @property
    def mean(self) -> float | None:
        """Over the seeds that are done; None before the first is."""
        return statistics.fmean(self.figures) if self.figures else None

    @property
    def deviation(self) -> float:
        """Standard deviation over the seeds that are done; 0 for one."""
        return statistics.stdev(self.figures) if len(self.figures) > 1 else 0.0


def cells(sweep: Sweep, figure: str = "", higher: bool | None = None, take: Take | None = None) -> list[Cell]:
    """The cells in the order of the grid, compared by the plan's figure or another."""
    plan, runs = sweep.plan, sweep.runs
    figure, take = figure or plan.figure, take or plan.take
    higher = plan.higher if higher is None else higher
    grid = places(plan.grid)
    return [_cell(place, runs[i :: len(grid)], figure, higher, take) for i, place in enumerate(grid)]


def _cell(place: Mapping[str, Any], runs: Sequence[Run | None], figure: str, higher: bool, take: Take) -> Cell:
    states = [run.state if run else "missing" for run in runs]
    figures, shares, cause = [], [], ""
    for run, state in zip(runs, states, strict=True):
        if run is None:
            shares.append(0.0)
            continue
        if state == "done" and (course := courses(run).get(figure)):
            figures.append(course.last if take == "last" else course.high if higher else course.low)
        steps = run.told.get("steps") or 0
        shares.append(1.0 if state == "done" else min(1.0, (run.told.get("step") or 0) / steps) if steps else 0.0)
        if state in ("failed", "lost") and not cause:
            cause = run.cause or "it ended without a word"
    return Cell(place, runs, states, figures, statistics.fmean(shares), cause)


def courses(run: Run) -> dict[str, Course]:
    """Each number of a run's series; read again only when the file has grown."""
    path = run.folder / "metrics.jsonl"
    try:
        found = path.stat()
    except FileNotFoundError:
        return {}
    return _courses(run.folder, found.st_mtime_ns, found.st_size)


@lru_cache(2048)
def _courses(folder: Path, _changed: int, _size: int) -> dict[str, Course]:
    known: dict[str, Course] = {}
    for row in Run(folder).series():
        for name, value in row.items():
            if name not in ("step", "time") and value is not None:
                before = known.get(name, Course(value, value, value))
                known[name] = Course(value, min(before.low, value), max(before.high, value))
    return known


def best(found: Sequence[Cell], higher: bool) -> Cell | None:
    """The best of the cells that have a figure; the first of equals."""
    ready = [cell for cell in found if cell.mean is not None]
    return (max if higher else min)(ready, key=lambda cell: cell.mean, default=None)  # type: ignore[arg-type, return-value]
