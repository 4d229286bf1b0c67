"""Sweeps: ordinary runs in the ordinary line that belong together, because they vary the same knobs.

VISIONARIUM_HOME/sweeps/<id>/
    sweep.json      what is tried; never changes. The ids of its runs stand in it before the first of them is made
    making.lock     held by the process that makes the runs
    control/cancel  somebody wishes that no more runs are made
    log.txt         what that process had to say

`python -m lab.runs.sweep ID` makes what is missing and goes on with what ended before its time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.files import replace_file
from engine.folder import granted, wish, wishes
from engine.lock import Lock, holder
from engine.params import KnobError
from lab.home import ID, check_space, check_writable, checked_name, home, new_folder, new_run_folder, runs_folder
from lab.runs.check import check, rooted
from lab.runs.executors import environment
from lab.runs.figure import is_higher_better, known_figures
from lab.runs.grid import MOST, Grid, as_word, cells
from lab.runs.run import LOCAL, Run, start
from lab.runs.state import LIVE
from lab.runs.supervisor import last_line

if TYPE_CHECKING:
    from engine.bench import Setup
    from engine.params import Params

Take = Literal["last", "best"]
Standing = Literal["making", "running", "done", "stopped"]
NAMED, SEEDS = 5, 100
"""Problems that a refusal names; the most seeds a cell may have."""


@dataclass(frozen=True)
class SweepPlan:
    """sweep.json. values, setup: complete plain knobs, on which the cells lie. take: which of a run's figures counts.

    runs: ids, seed by seed, each seed in the order of the cells: so a coarse picture of the whole comes first.
    """

    method: str
    values: Mapping[str, Any]
    setup: Mapping[str, Any]
    grid: Grid
    seeds: int
    figure: str
    higher: bool
    take: Take
    created: float
    name: str
    runs: Sequence[str]
    visitor: str = ""

    @classmethod
    def read(cls, folder: Path) -> SweepPlan:
        """The plan in a sweep's folder; ValueError when there is none."""
        try:
            found = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
            return cls(**{key: found[key] for key in cls.__dataclass_fields__ if key in found})
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(f"{folder} is no sweep: it has no sweep.json") from None
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
            raise ValueError(f"{folder / 'sweep.json'} is damaged; delete the folder, or restore the file") from None


class Sweep:
    """A sweep; its folder and those of its runs are the truth, read anew each time."""

    def __init__(self, folder: Path):
        self.folder = folder

    @property
    def id(self) -> str:
        return self.folder.name

    @cached_property
    def plan(self) -> SweepPlan:
        return SweepPlan.read(self.folder)

    @property
    def runs(self) -> list[Run | None]:
        """The runs in the order of the plan; None where one is not made yet, or was deleted."""
        folders = [runs_folder() / id for id in self.plan.runs]
        return [Run(folder) if (folder / "run.json").exists() else None for folder in folders]

    @property
    def making(self) -> bool:
        """Whether some process is making its runs now."""
        return holder(self.folder / "making.lock") is not None

    @property
    def standing(self) -> Standing:
        """How the whole stands; stopped: nothing goes on, and not all is done."""
        if self.making:
            return "making"
        states = {run.state if run else "missing" for run in self.runs}
        return "running" if states & LIVE else "done" if states == {"done"} else "stopped"

    def title(self, number: int) -> str:
        """The name of run `number`: where it lies in the grid."""
        grid = cells(self.plan.grid)
        places = " ".join(f"{name}={as_word(value)}" for name, value in grid[number % len(grid)].items())
        seed = f" seed {self.seed(number)}" if self.plan.seeds > 1 else ""
        return f"{self.plan.name} {places}{seed}".strip()[:80]

    def seed(self, number: int) -> int:
        return self.plan.setup["seed"] + number // prod(map(len, self.plan.grid.values()))

    def make(self, told: Callable[[Run], None] = lambda run: None) -> None:
        """Make the runs that are missing and go on with those that ended early, in order; `told` hears of each.

        May be killed and repeated at will: a run that is there is never made again. It ends early when `stop` is
        wished. ValueError when another process makes them now.
        """
        with Lock(self.folder / "making.lock"):
            from engine.bench import Setup
            from engine.catalog import method

            plan, kind = self.plan, method(self.plan.method).params
            grid = cells(plan.grid)
            for number, id in enumerate(plan.runs):
                if self._stopped():
                    return
                run = Run(runs_folder() / id)
                if not (run.folder / "run.json").exists():
                    params = kind.make({**plan.values, **grid[number % len(grid)]})
                    setup = Setup.make({**plan.setup, "seed": self.seed(number)})
                    start(plan.method, params, setup, self.title(number), run.folder, plan.visitor)
                elif _abandoned(run):
                    LOCAL.submit(run.folder)
                elif run.state in ("paused", "cancelled", "failed", "lost"):
                    run.resume()
                else:
                    continue
                told(run)
                if self._stopped():
                    _cancel(run)

    def resume(self, told: Callable[[Run], None] = lambda run: None) -> None:
        """Take back a stop, then `make`."""
        granted(self.folder, "cancel")
        self.make(told)

    def resume_apart(self) -> None:
        """`resume`, by a process of its own that outlives us; it is at work on return. ValueError when it refused."""
        check_writable(self.folder)
        granted(self.folder, "cancel")
        with open(self.folder / "log.txt", "ab") as log:
            command = [sys.executable, "-P", "-m", "lab.runs.sweep", str(self.folder)]
            maker = subprocess.Popen(
                command, env=environment(), start_new_session=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        while maker.poll() is None and not self.making:
            time.sleep(0.02)
        if maker.returncode:
            raise ValueError(last_line(self.folder) or f"the runs of {self.id} could not be made: {command}")

    def stop(self) -> None:
        """Make no more runs, and cancel those that wait or run; those from the end of the line first."""
        check_writable(self.folder)
        wish(self.folder, "cancel")
        for run in reversed(self.runs):
            if run:
                _cancel(run)

    def delete(self) -> None:
        """Throw the sweep away with all its runs, itself last: what was interrupted can be done again.

        ValueError, before anything is gone, while anything of it goes on.
        """
        if self.making or any(run and run.live for run in self.runs):
            raise ValueError(f"sweep {self.id} goes on; stop it, and wait until its runs have ended")
        with Lock(self.folder / "making.lock"):
            for id, run in zip(self.plan.runs, self.runs, strict=True):
                if run:
                    run.delete()
                else:
                    with suppress(FileNotFoundError):
                        (runs_folder() / id).rmdir()
            shutil.rmtree(self.folder)

    def _stopped(self) -> bool:
        return "cancel" in wishes(self.folder)


def _cancel(run: Run) -> None:
    if run.live:
        with suppress(ValueError):  # it ended by itself in between
            run.cancel()


def _abandoned(run: Run) -> bool:
    """Whether it was planned, and its maker was killed before anybody cared for it."""
    return not run.told and holder(run.folder / "live.lock") is None


def lay_out(params: Params, grid: Grid, seeds: int = 1) -> list[Params]:
    """The params of each cell. ValueError names everything that cannot be."""
    problems = [f"{name}: no values are given; write them with commas between" for name in grid if not grid[name]]
    if not grid:
        problems.append("no knob is varied; name one to four with their values, such as lr=0.001,0.003")
    if not 1 <= seeds <= SEEDS:
        problems.append(f"seeds: {seeds} cannot be; allowed is 1 to {SEEDS}")
    count = prod(map(len, grid.values())) * seeds
    if count > MOST:
        problems.append(f"this grid is {count:,} runs, and at most {MOST} are allowed; leave out values or seeds")
    if problems:
        raise ValueError("; ".join(problems))
    found: list[Params] = []
    wrong: dict[tuple[str, str], str] = {}
    for cell in cells(grid):
        try:
            found.append(type(params).make({**params.model_dump(mode="json"), **cell}))
        except KnobError as error:
            place = " ".join(f"{name}={as_word(value)}" for name, value in cell.items())
            wrong |= {(name, says): f"{name or place}: {says}" for name, says in error.problems}
    if wrong:
        more = f"; and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise ValueError("; ".join(list(wrong.values())[:NAMED]) + more)
    return found


def plan_sweep(
    id: str, params: Params, setup: Setup, grid: Grid, *, seeds: int = 1, figure: str = "", higher: bool | None = None,
    take: Take = "last", name: str = "", visitor: str = "",
) -> Sweep:  # fmt: skip
    """Check everything, then write the plan of a sweep whose runs nobody has made yet.

    visitor: in whose turns its runs go. figure: what is compared (the claim's, when empty). higher: whether more of it
    is better (see `is_higher_better`). ValueError names what cannot be; nothing is left behind then.
    """
    from engine.catalog import method

    found, name = method(id), checked_name(name)
    figures = known_figures(found)
    figure = figure or figures[0]
    if figure not in figures:
        raise ValueError(f"figure: {id} does not show {figure!r}; choose {', '.join(figures)}")
    params = rooted(params)
    opened = set()
    for cell in lay_out(params, grid, seeds):
        source = cell.data, getattr(cell, "size", None)  # type: ignore[attr-defined]
        if source not in opened:
            check(cell, setup)
            opened.add(source)
    parent = home() / "sweeps"
    check_space(parent)
    parent.mkdir(exist_ok=True)
    runs = [new_run_folder().name for _ in range(prod(map(len, grid.values())) * seeds)]
    plan = SweepPlan(
        id, params.model_dump(mode="json"), setup.model_dump(mode="json"), {knob: list(grid[knob]) for knob in grid},
        seeds, figure, is_higher_better(figure, found) if higher is None else higher, take, time.time(), name, runs,
        visitor,
    )  # fmt: skip
    sweep = Sweep(new_folder(parent))
    replace_file(sweep.folder / "sweep.json", json.dumps(vars(plan), indent=1).encode())
    return sweep


def all_sweeps() -> Iterator[Sweep]:
    """The sweeps in the lab's home, newest first."""
    for folder in sorted((home() / "sweeps").glob("[0-9]*"), reverse=True):
        if ID.fullmatch(folder.name) and (folder / "sweep.json").is_file():
            yield Sweep(folder)


def find_sweep(id: str) -> Sweep:
    """The sweep `id`. ValueError when it is no id or there is no such sweep."""
    if not ID.fullmatch(id):
        raise ValueError(f"{id!r} is no sweep's id; ids look like 20261122-171233-4f2a")
    sweep = Sweep(home() / "sweeps" / id)
    if not sweep.folder.is_dir():
        raise ValueError(f"there is no sweep {id}; `visionarium sweep list` shows those there are")
    sweep.plan  # noqa: B018 - a folder without a plan is no sweep
    return sweep


if __name__ == "__main__":
    try:
        Sweep(Path(sys.argv[1])).make()
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(2)
    os._exit(0)
