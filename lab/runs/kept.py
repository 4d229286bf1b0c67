"""A finished sweep as one small file, so that its map can ship: `python -m lab.runs.kept SWEEP FILE`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.runs.cells import Cell, cells
from lab.runs.grid import Grid
from lab.runs.sweep import Sweep, find_sweep


@dataclass(frozen=True)
class Kept:
    """A sweep's grid, what all its cells share, and the figures of each cell, seed by seed, in the grid's order."""

    name: str
    grid: Grid
    values: Mapping[str, Any]
    figure: str
    higher: bool
    figures: Sequence[Sequence[float]]

    @property
    def cells(self) -> list[Cell]:
        from lab.runs.grid import cells as places

        return [
            Cell(place, (), ("done",) * len(figures), figures, 1.0, "")
            for place, figures in zip(places(self.grid), self.figures, strict=True)
        ]


def keep(sweep: Sweep) -> Kept:
    """What ships of a sweep. ValueError when it is not done."""
    if sweep.standing != "done":
        raise ValueError(f"sweep {sweep.id} is {sweep.standing}; only one that is done can be kept")
    plan = sweep.plan
    return Kept(plan.name, plan.grid, plan.values, plan.figure, plan.higher, [cell.figures for cell in cells(sweep)])


def read_kept(path: Path) -> Kept:
    return Kept(**json.loads(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(vars(keep(find_sweep(sys.argv[1]))), indent=1) + "\n", encoding="utf-8")
