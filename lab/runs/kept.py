"""A finished sweep as one small file, so that its map can ship: `visionarium sweep keep SWEEP FILE`."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.runs.cells import Cell, cells
from lab.runs.grid import Grid
from lab.runs.sweep import Sweep


@dataclass(frozen=True)
class Kept:
    """A sweep's grid, what all its cells share, and the figures of each cell, seed by seed, in the grid's order.

    date: when it was begun. also: the same of other numbers than the `figure` by which cells are compared.
    """

    name: str
    grid: Grid
    values: Mapping[str, Any]
    figure: str
    higher: bool
    figures: Sequence[Sequence[float]]
    date: str = ""
    also: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)

    @property
    def cells(self) -> list[Cell]:
        from lab.runs.grid import cells as places

        return [
            Cell(place, (), ("done",) * len(figures), figures, 1.0, "")
            for place, figures in zip(places(self.grid), self.figures, strict=True)
        ]


def keep(sweep: Sweep, also: Sequence[str] = ()) -> Kept:
    """What ships of a sweep, and other numbers of its runs by name. ValueError when it is not done, or has no such."""
    if sweep.standing != "done":
        raise ValueError(f"sweep {sweep.id} is {sweep.standing}; only one that is done can be kept")
    plan = sweep.plan
    first, *others = ([cell.figures for cell in cells(sweep, name)] for name in (plan.figure, *also))
    for name, figures in zip(also, others, strict=True):
        if any(len(each) < plan.seeds for each in figures):
            raise ValueError(f"also: not every run of sweep {sweep.id} reported {name!r}")
    date = time.strftime("%Y-%m-%d", time.localtime(plan.created))
    told = plan.name, plan.grid, plan.values, plan.figure, plan.higher, first, date
    return Kept(*told, also=dict(zip(also, others, strict=True)))


def read_kept(path: Path) -> Kept:
    return Kept(**json.loads(path.read_text(encoding="utf-8")))


def write_kept(path: Path, kept: Kept) -> None:
    path.write_text(json.dumps(vars(kept), indent=1) + "\n", encoding="utf-8")
