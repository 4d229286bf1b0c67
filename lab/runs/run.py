"""A run as pages and the command line see it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.folder import Plan, State, Wish, granted, plan_run, read_state, wish, wishes
from lab.home import check_space, checked_name, new_run_folder, runs_folder
from lab.runs.executors import Executor, Local
from lab.runs.state import LIVE

if TYPE_CHECKING:
    from engine.params import Params

LOCAL: Executor = Local()


class Run:
    """One training: its folder is the truth, and everything here reads it anew or from an unchanged copy."""

    def __init__(self, folder: Path, copy: Copy | None = None):
        """copy: what somebody has read before; believed as long as state.json has the same stamp."""
        self.folder = folder
        self._copy = copy
        self._plan = copy.plan if copy else None

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def plan(self) -> Plan:
        """What it does."""
        if self._plan is None:
            self._plan = Plan.read(self.folder)
        return self._plan

    @property
    def told(self) -> Mapping[str, Any]:
        """state.json: "state", "step", "steps", "cause", "hint", "device", "peak_mb", ...; {} before the start."""
        now = stamp(self.folder)
        if self._copy is None or self._copy.stamp != now:
            self._copy = Copy(now, self.plan, read_state(self.folder))
        return self._copy.told

    @property
    def state(self) -> State:
        """How it really stands (see `lab.runs.state`)."""
        return LOCAL.state(self.folder)

    @property
    def live(self) -> bool:
        return self.state in LIVE

    @property
    def cause(self) -> str:
        """Why it ended as it did, in one line; "" when there is nothing to say."""
        if self.state == "lost":
            return "its process is gone without a word: the machine was restarted, or it was killed with its supervisor"
        return self.told.get("cause") or ""

    @property
    def hint(self) -> str:
        """What to do about it; "" when there is nothing to say."""
        if self.state == "lost":
            return "Resume goes on from its last checkpoint."
        return self.told.get("hint") or ""

    # What it has left so far

    def series(self) -> list[dict[str, Any]]:
        """Its rows in the order of steps. A page that stays open keeps a `Series` and reads only what is new."""
        from engine.record import rows

        return rows(self.folder)

    def media(self) -> list[tuple[int, Path]]:
        """(step, file) of the stored pictures and tensors, for `engine.record.read_values`; oldest first."""
        from engine.record import media

        return media(self.folder)

    def checkpoints(self) -> list[tuple[int, Path]]:
        """(step, file), oldest first."""
        from engine.record import checkpoints

        return checkpoints(self.folder)

    def log_tail(self, lines: int = 40) -> list[str]:
        return LOCAL.tail(self.folder, lines)

    # Wishes. ValueError when it is not the time for them

    def cancel(self) -> None:
        """Save and end. What it holds of the device is free once `state` is "cancelled"."""
        self._must_be(LIVE, "nothing is there to cancel")
        LOCAL.stop(self.folder)

    def pause(self) -> None:
        """Save, free the device, and keep the place in the line."""
        self._ask("pause", LIVE, "nothing is there to pause")

    def save_now(self) -> None:
        """Keep a checkpoint after the next step."""
        self._ask("save", frozenset({"starting", "running"}), "only a running run can save")

    def sample_now(self) -> None:
        """Evaluate and store the pictures of the next step."""
        self._ask("sample", frozenset({"starting", "running"}), "only a running run can show itself")

    def resume(self) -> None:
        """Go on from the last checkpoint, with the old place in the line."""
        self._must_be(frozenset({"paused", "cancelled", "failed", "lost"}), "there is nothing to resume")
        for old in wishes(self.folder):
            granted(self.folder, old)  # type: ignore[arg-type]
        check_space(self.folder)
        LOCAL.submit(self.folder)

    def delete(self) -> None:
        """Throw the folder away."""
        self._must_be(frozenset({"paused", "cancelled", "failed", "lost", "done"}), "cancel it first")
        if self.folder.parent != runs_folder():
            raise ValueError(f"{self.folder} lies outside the lab's home; delete the folder yourself")
        doomed = self.folder.with_name(f".deleted-{self.id}")
        os.replace(self.folder, doomed)
        shutil.rmtree(doomed)

    def _ask(self, name: Wish, states: frozenset[str], otherwise: str) -> None:
        self._must_be(states, otherwise)
        wish(self.folder, name)

    def _must_be(self, states: frozenset[str], otherwise: str) -> None:
        state = self.state
        if state not in states:
            raise ValueError(f"run {self.id} is {state}: {otherwise}")

    def __repr__(self) -> str:
        return f"Run({self.id})"


class Copy(NamedTuple):
    """What was read of a run when its state.json had this stamp."""

    stamp: str
    plan: Plan
    told: Mapping[str, Any]


def stamp(folder: Path) -> str:
    """Changes whenever state.json does: it is always replaced by another file."""
    try:
        found = (folder / "state.json").stat()
    except FileNotFoundError:
        return ""
    return f"{found.st_mtime_ns}-{found.st_ino}-{found.st_size}"


def start(
    method_id: str, params: Params, setup: Params, name: str = "", folder: Path | None = None, *, cloned_from: str = ""
) -> Run:
    """Plan a run and give it its place in the waiting line of its device.

    It is nobody's child: it lives on when the caller ends. folder: where, instead of in the lab's home.
    ValueError when the name cannot be, the disk is full or the folder already holds a run.
    """
    run = plan(method_id, params, setup, name, folder, cloned_from=cloned_from)
    LOCAL.submit(run.folder)
    return run


def plan(
    method_id: str, params: Params, setup: Params, name: str = "", folder: Path | None = None, *, cloned_from: str = ""
) -> Run:
    """The folder of a run that nobody carries out yet."""
    from lab.runs.check import rooted

    name, params = checked_name(name), rooted(params)
    check_space(folder or runs_folder())
    target = folder.expanduser().absolute() if folder else new_run_folder()
    plan_run(target, method_id, params, setup, name, cloned_from=cloned_from)
    return Run(target)
