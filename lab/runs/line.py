"""The waiting line of each device: one run at a time on a device, first come first served, without a daemon.

A run that waits has a ticket in devices/<line>/waiting/, named by when it was planned, holding its folder's path. Who
finds no living ticket before its own takes the first free slot: a lock that falls with its supervisor.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.files import replace_file
from engine.folder import Plan
from engine.lock import Lock, holder
from lab.home import home


@dataclass(frozen=True)
class Slot:
    """A held place on a device, and the environment variables that bind a process to it."""

    lock: Lock
    environment: dict[str, str]


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


class Ticket:
    """A run's place in its line, while it waits."""

    def __init__(self, folder: Path, plan: Plan):
        self.line = line_of(plan)
        self._waiting = home() / "devices" / self.line / "waiting"
        self._waiting.mkdir(parents=True, exist_ok=True)
        self._path = self._waiting / _name(folder, plan)
        replace_file(self._path, str(folder).encode())
        self._behind: Path | None = None

    def slot(self) -> Slot | None:
        """The slot, once it is this run's turn; the ticket is then given back."""
        if self._behind is None or not _lives(self._behind):
            self._behind = next(_before(self._path), None)
        if self._behind is not None:
            return None
        places = gpus() or ["0"] if self.line == "cuda" else [""]
        for place in places:
            lock = Lock(self._waiting.parent / f"slot-{place.replace('/', '-')}.lock")
            if lock.take():
                self.give_back()
                return Slot(lock, {"CUDA_VISIBLE_DEVICES": place} if place else {})
        return None

    def give_back(self) -> None:
        self._path.unlink(missing_ok=True)


def ahead(folder: Path, plan: Plan) -> int:
    """How many runs wait before this one."""
    return sum(1 for _ in _before(home() / "devices" / line_of(plan) / "waiting" / _name(folder, plan)))


def _name(folder: Path, plan: Plan) -> str:
    return f"{plan.created:017.6f}-{folder.name}"


def _before(ticket: Path) -> Iterator[Path]:
    """The living tickets before this one; those of dead runs are thrown away."""
    for path in sorted(ticket.parent.glob("[0-9]*")):
        if path.name >= ticket.name:
            return
        if _lives(path):
            yield path
        else:
            path.unlink(missing_ok=True)


def _lives(ticket: Path) -> bool:
    try:
        folder = Path(ticket.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    return holder(folder / "live.lock") is not None
