"""The waiting line of each device: ordered, editable, without a daemon.

devices/<line>/line.json   who waits, who had the last turns, who got which slot; changed under line.lock
devices/<line>/slot-*.lock, beside-*.lock   the places on the device: locks that fall with their supervisor
runs/<id>/place.json       where a run stands once it was moved or held: kept while it runs, is paused or lost

Each waiting run has a supervisor that looks whether it is its turn (see `lab.runs.order`). A ticket whose supervisor
died counts for nothing; the run keeps its place for when it is resumed.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import inf, nextafter
from pathlib import Path
from typing import Any

from engine.files import replace_file
from engine.folder import Plan
from engine.lock import Lock, holder
from lab.home import home
from lab.runs.order import WANTS, Ticket, due, order

LINES = ("cuda", "mps", "cpu")
FIRST, LATER = 0.1, 0.5
"""Seconds between two looks of the run that is next, and of those behind it."""
PATIENCE = 10.0
"""Seconds to wait for whoever changes the line."""
_here = threading.Lock()
"""Between the threads of one process, where a POSIX lock does not hold."""


@dataclass(frozen=True)
class Slot:
    """A held place on a device, and the environment variables that bind a process to it. more: a GPU a rank."""

    lock: Lock
    environment: dict[str, str]
    more: tuple[Lock, ...] = ()

    def release(self) -> None:
        for lock in (self.lock, *self.more):
            lock.release()


def gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES calls the GPUs of this machine; found without loading CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(i) for i in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


def line_of(plan: Plan) -> str:
    """The line in which a run waits: "cuda", "mps" or "cpu"."""
    wanted = str(plan.setup.get("device", "auto"))
    if wanted != "auto":
        return wanted
    if gpus():
        return "cuda"
    return "mps" if (sys.platform, platform.machine()) == ("darwin", "arm64") else "cpu"


@dataclass
class Lineup:
    """What line.json holds. served: the number of each visitor's last turn. slots: which run got a place last."""

    waiting: dict[str, Ticket] = field(default_factory=dict)
    served: dict[str, int] = field(default_factory=dict)
    slots: dict[str, tuple[str, str]] = field(default_factory=dict)
    limit: int | None = None

    @classmethod
    def read(cls, path: Path) -> Lineup:
        """An empty line when there is no file; also when it was damaged: those who wait put themselves in again."""
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            waiting = {folder: Ticket(folder, *rest) for folder, *rest in told["waiting"]}
            slots = {place: (folder, visitor) for place, (folder, visitor) in told["slots"].items()}
            return cls(waiting, dict(told["served"]), slots, told["limit"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return cls()

    def dump(self) -> bytes:
        told = {"waiting": list(self.waiting.values()), "served": self.served, "slots": self.slots}
        return json.dumps(told | {"limit": self.limit}).encode()

    def running(self, taken: frozenset[str]) -> Counter[str]:
        """How many runs of each visitor have a slot. taken: the slots whose locks are held."""
        return Counter(visitor for place, (_, visitor) in self.slots.items() if place in taken)


class Line:
    """The waiting line of a device."""

    def __init__(self, name: str):
        self.name = name
        self.folder = home() / "devices" / name
        self._path = self.folder / "line.json"
        self._stamp: tuple[int, int] | None = None
        self._lineup = Lineup()

    def stamp(self) -> tuple[int, int]:
        """Changes whenever the line does: line.json is always replaced by another file."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_mtime_ns, found.st_ino

    def lineup(self) -> Lineup:
        """The line as it is told, the dead among it; to be read only."""
        if self._stamp != (now := self.stamp()):
            self._lineup, self._stamp = Lineup.read(self._path), now
        return self._lineup

    @contextmanager
    def changing(self, me: str = "") -> Iterator[Lineup]:
        """The line, without the dead, to be changed by nobody else; it is written on leaving.

        me: the folder of the run whose lock this process holds. ValueError when somebody keeps the line locked.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = Lock(self.folder / "line.lock")
        end = time.monotonic() + PATIENCE
        with _here:
            while not lock.take():
                if time.monotonic() > end:
                    raise ValueError(
                        f"the line of {self.name} is kept locked by process {holder(lock.path)}; end it, then try again"
                    )
                time.sleep(0.01)
            try:
                lineup = Lineup.read(self._path)
                before = lineup.dump()
                lineup.waiting = {name: one for name, one in lineup.waiting.items() if name == me or lives(name)}
                yield lineup
                if (after := lineup.dump()) != before:
                    replace_file(self._path, after)
            finally:
                lock.release()

    def taken(self) -> frozenset[str]:
        """The slots that are held; a process that holds one must not ask."""
        places = {*self.places("slot"), *self.lineup().slots}
        return frozenset(place for place in places if holder(self.folder / f"{place}.lock") is not None)

    def places(self, kind: str) -> dict[str, dict[str, str]]:
        """The places on the device by name, with the environment that binds to each. kind: "slot" or "beside"."""
        if self.name != "cuda":
            return {kind: {}}
        return {f"{kind}-{gpu.replace('/', '-')}": {"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus() or ["0"]}

    def ordered(self) -> list[Ticket]:
        """Who waits, in the order of serving, without the dead."""
        lineup = self.lineup()
        living = [ticket for ticket in lineup.waiting.values() if lives(ticket.folder)]
        return order(living, lineup.running(self.taken()), lineup.served)


class Waiter:
    """A run while it waits, for the supervisor that holds its lock."""

    def __init__(self, folder: Path, plan: Plan, fresh: bool = False):
        """Put it in the line of its device, at the place that it has or had. `pace`: seconds until the next look.

        fresh: it has never waited before, so nobody who waits now comes after it, whatever the clock says.
        """
        self.line = Line(line_of(plan))
        self._folder, self._plan = folder, plan
        self._me = str(folder)
        self._count = min(int(plan.setup.get("ranks", 1)), len(self.line.places("slot")))
        self._glance: Any = None
        self._before: str | None = None
        self.pace = FIRST
        self._join(fresh)

    def slot(self) -> Slot | None:
        """The place on the device, once it is this run's turn; it has then left the line."""
        ticket = self.line.lineup().waiting.get(self._me)
        beside = ticket is not None and ticket.wants == "beside"
        glance = self.line.stamp(), self.line.taken(), beside and self._free("beside")
        if glance == self._glance and (self._before is None or lives(self._before)):
            return None
        if ticket is None:
            with suppress(OSError, ValueError):
                self._join()
        elif (self._is_due() and self._free("slot")) or (beside and self._free("beside")):
            return self._take()
        else:
            self._glance = glance
        return None

    def leave(self) -> None:
        """Give up waiting; the place is kept for when the run is resumed."""
        with suppress(OSError, ValueError), self.line.changing(self._me) as lineup:  # else the ticket dies with us
            lineup.waiting.pop(self._me, None)

    def _join(self, fresh: bool = False) -> None:
        with self.line.changing(self._me) as lineup:
            ticket = read_place(self._folder, self._plan)
            last = max((one.rank for one in lineup.waiting.values()), default=-inf)
            if fresh and ticket.rank < last:  # the clock was set back, or is another machine's
                ticket = ticket._replace(rank=nextafter(last, inf))
                write_place(ticket)
            lineup.waiting[self._me] = ticket

    def _is_due(self) -> bool:
        """Whether nobody goes before; else `_before` is the living run to watch."""
        lineup, running = self.line.lineup(), self.line.lineup().running(self.line.taken())
        waiting = dict(lineup.waiting)
        self._before, self.pace = None, LATER
        while first := due(order(waiting.values(), running, lineup.served), running, lineup.limit):
            if first.folder == self._me:
                self.pace = FIRST
                return True
            if lives(first.folder):
                self._before = first.folder
                return False
            del waiting[first.folder]
        return False

    def _free(self, kind: str) -> bool:
        free = [holder(self.line.folder / f"{place}.lock") is None for place in self.line.places(kind)]
        return sum(free) >= self._count

    def _take(self) -> Slot | None:
        """Take a place; None when the line cannot be changed: on a full disk a run waits rather than start and fail."""
        slot = None
        try:
            with self.line.changing(self._me) as lineup:
                slot = self._place(lineup)
                if slot:
                    write_place(read_place(self._folder, self._plan)._replace(wants="turn"))
        except (OSError, ValueError):
            if slot:
                slot.release()
            return None
        return slot

    def _place(self, lineup: Lineup) -> Slot | None:
        """A free place, if it is still this run's turn now that nobody else can change the line."""
        ticket = lineup.waiting.get(self._me)
        if ticket is None:
            return None
        kinds = ["slot"] if self._is_due() else []
        kinds += ["beside"] if ticket.wants == "beside" else []
        for kind in kinds:
            locks = {place: Lock(self.line.folder / f"{place}.lock") for place in self.line.places(kind)}
            held: list[str] = []
            for place, lock in locks.items():
                if len(held) < self._count and lock.take():
                    held.append(place)
            if len(held) == self._count:
                del lineup.waiting[self._me]
                lineup.slots |= dict.fromkeys(held, (self._me, ticket.visitor))
                lineup.served[ticket.visitor] = max(lineup.served.values(), default=0) + 1
                return Slot(locks[held[0]], self._bound(kind, held), tuple(locks[place] for place in held[1:]))
            for place in held:
                locks[place].release()
        return None

    def _bound(self, kind: str, held: list[str]) -> dict[str, str]:
        """The environment that binds to all that is held."""
        gpus = [gpu for place in held for gpu in self.line.places(kind)[place].values()]
        return {"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {}


def read_place(folder: Path, plan: Plan) -> Ticket:
    """The ticket of a run that joins the line."""
    fresh = Ticket(str(folder), plan.created, plan.visitor, plan.created)
    try:
        told = json.loads((folder / "place.json").read_text(encoding="utf-8"))
        return fresh._replace(rank=float(told["rank"]), wants=told["wants"] if told["wants"] in WANTS else "turn")
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # never moved; damaged counts as never moved
        return fresh


def write_place(ticket: Ticket) -> None:
    """Keep the place of a run that somebody moved, held or hurried."""
    path = Path(ticket.folder) / "place.json"
    if path.exists() or (ticket.rank, ticket.wants) != (ticket.created, "turn"):
        replace_file(path, json.dumps({"rank": ticket.rank, "wants": ticket.wants}).encode())


def lives(folder: str) -> bool:
    """Whether a run has a supervisor. Never to be asked by the supervisor of its own run: see `engine.lock`."""
    return holder(Path(folder) / "live.lock") is not None
