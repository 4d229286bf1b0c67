"""A run as pages and the command line see it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine import files
from engine.folder import Plan, State, Wish, granted, plan_run, read_state, wish, wishes
from lab.home import check_space, check_writable, checked_name, new_run_folder, runs_folder
from lab.runs import queue
from lab.runs.executors import Executor, Local
from lab.runs.leftovers import throw_away
from lab.runs.state import LIVE, ending

if TYPE_CHECKING:
    from engine.params import Params

LOCAL: Executor = Local()
WAITING: frozenset[str] = frozenset({"queued"})
RESUMABLE: frozenset[str] = frozenset({"paused", "cancelled", "failed", "lost"})


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
            return (
                "its process is gone without a word: the machine was restarted, it was killed with its supervisor, "
                "or its folder could not be written"
            )
        return self.told.get("cause") or ""

    @property
    def hint(self) -> str:
        """What to do about it; "" when there is nothing to say."""
        if self.state == "lost":
            return "Resume goes on from its last checkpoint."
        return self.told.get("hint") or ""

    @property
    def ending(self) -> str:
        """While it is pausing or cancelling: what is waited for, since when, and what follows; else ""."""
        return ending(self.folder) if self.live else ""

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

    def openable(self) -> dict[int, Path]:
        """Step -> the file that can be looked through, oldest first: checkpoints and milestones."""
        from engine.record import milestones

        return dict(sorted((dict(milestones(self.folder)) | dict(self.checkpoints())).items()))

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

    def move(self, where: queue.Where) -> None:
        """Up or down by one, or next: before all others of its visitor that wait."""
        self._must_be(WAITING, "only a waiting run has a place in the line")
        queue.move(self.folder, where)

    def hold(self) -> None:
        """Keep it from starting until it is released."""
        self._must_be(WAITING, "only a waiting run can be held")
        queue.hold(self.folder)

    def release(self) -> None:
        """Let it wait for its turn again, after `hold` or `now`."""
        self._must_be(WAITING, "only a waiting run can be released")
        queue.release(self.folder)

    def now(self, beside: bool = False) -> None:
        """Before all others, as soon as the device is free; beside: at once, beside what runs (see `queue.hurry`)."""
        self._must_be(WAITING, "only a waiting run can be started now")
        queue.hurry(self.folder, beside)

    def save_now(self) -> None:
        """Keep a checkpoint after the next step."""
        self._ask("save", frozenset({"starting", "running"}), "only a running run can save")

    def sample_now(self) -> None:
        """Evaluate and store the pictures of the next step."""
        self._ask("sample", frozenset({"starting", "running"}), "only a running run can show itself")

    def resume(self) -> None:
        """Go on from the last checkpoint, with the old place in the line."""
        resume(self)

    def delete(self) -> None:
        """Throw the folder away."""
        self._must_be(frozenset({"paused", "cancelled", "failed", "lost", "done"}), "cancel it first")
        if self.folder.parent != runs_folder():
            raise ValueError(f"{self.folder} lies outside the lab's home; delete the folder yourself")
        throw_away(self.folder)

    def _ask(self, name: Wish, states: frozenset[str], otherwise: str) -> None:
        self._must_be(states, otherwise)
        wish(self.folder, name)

    def _must_be(self, states: frozenset[str], otherwise: str) -> None:
        state = self.state
        if state not in states:
            raise ValueError(f"run {self.id} is {state}: {otherwise}")
        check_writable(self.folder)

    def __repr__(self) -> str:
        return f"Run({self.id})"


def resume(*runs: Run) -> None:
    """Let runs go on from their last checkpoints, at their old places in the line; many at once share memory.

    ValueError, before anything is done, when one of them has nothing to resume or the disk is full.
    """
    for run in runs:
        run._must_be(RESUMABLE, "there is nothing to resume")
        check_space(run.folder)
    for run in runs:
        for old in wishes(run.folder):
            granted(run.folder, old)  # type: ignore[arg-type]
    LOCAL.submit(*(run.folder for run in runs))


class Copy(NamedTuple):
    """What was read of a run when its state.json had this stamp."""

    stamp: str
    plan: Plan
    told: Mapping[str, Any]


def stamp(folder: Path) -> str:
    """Changes whenever state.json does: it is always replaced by another file."""
    return files.stamp(folder / "state.json")


def start(
    method_id: str,
    params: Params,
    setup: Params,
    name: str = "",
    folder: Path | None = None,
    visitor: str = "",
    cloned_from: str = "",
) -> Run:
    """Plan a run and give it its place in the waiting line of its device.

    It is nobody's child: it lives on when the caller ends. folder: where, instead of in the lab's home. visitor: in
    whose turns it goes, where several wait.
    ValueError when the name cannot be, the disk is full or the folder already holds a run.
    """
    run = plan(method_id, params, setup, name, folder, visitor, cloned_from)
    LOCAL.submit(run.folder)
    return run


def plan(
    method_id: str,
    params: Params,
    setup: Params,
    name: str = "",
    folder: Path | None = None,
    visitor: str = "",
    cloned_from: str = "",
) -> Run:
    """The folder of a run that nobody carries out yet."""
    from lab.runs.check import rooted

    name, params = checked_name(name), rooted(params)
    check_space(folder or runs_folder())
    target = folder.expanduser().absolute() if folder else new_run_folder()
    plan_run(target, method_id, params, setup, name, visitor, cloned_from)
    return Run(target)
