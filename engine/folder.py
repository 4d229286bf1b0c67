"""A run's folder as anyone may read and write it, without torch.

run.json     what is to be done; never changes
state.json   where it stands; replaced atomically: {"state", "step", "steps", "cause", "hint", ...}
control/     wishes as files, read by the run after each step; in each, when it was made (see engine.clock)
live.lock    see engine.lock
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from engine import clock
from engine.files import replace_file

if TYPE_CHECKING:
    from engine.params import Params

State = Literal[
    "queued", "starting", "running", "pausing", "paused", "cancelling", "cancelled", "failed", "lost", "done"
]
Wish = Literal["cancel", "pause", "save", "sample"]
Device = Literal["auto", "cuda", "mps", "cpu"]
EXIT = {"done": 0, "failed": 1, "paused": 3, "cancelled": 4}
"""Exit codes of a run's process by how it ended; 2 is for wrong arguments."""
RESERVE = 64 << 10
"""Bytes kept in the file `reserve` while a run computes."""


@dataclass(frozen=True)
class Plan:
    """run.json: what a run does. `values` and `setup` are plain knob values, complete. ValueError: it cannot be.

    created: seconds since the epoch, to be shown. visitor: who asked for it. cloned_from: the id of the run whose knobs
    the form or the command began with. moment: when it was made, to measure from (see `engine.clock`).
    """

    method: str
    values: Mapping[str, Any]
    setup: Mapping[str, Any]
    created: float
    name: str = ""
    visitor: str = ""
    cloned_from: str = ""
    moment: str = ""

    def __post_init__(self) -> None:
        """The device is the one word of a plan that becomes a path: that of its waiting line. So it is checked here."""
        device = self.setup.get("device", "auto")
        if device not in get_args(Device):
            raise ValueError(f"its device is {str(device)[:80]!r}; it must be one of {', '.join(get_args(Device))}")

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """The plan of a run's folder; ValueError when there is none, or one that cannot be."""
        try:
            found = json.loads((folder / "run.json").read_text(encoding="utf-8"))
            return cls(**{key: found[key] for key in cls.__dataclass_fields__ if key in found})
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(f"{folder} is no run: it has no run.json") from None
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
            raise ValueError(f"{folder / 'run.json'} is damaged; delete the folder, or restore the file") from None
        except ValueError as error:
            raise ValueError(f"{folder / 'run.json'} cannot be: {error}") from None


def plan_run(
    folder: Path, method_id: str, params: Params, setup: Params, name: str = "", visitor: str = "",
    cloned_from: str = "",
) -> Plan:  # fmt: skip
    """Make a run's folder. FileExistsError when the folder already holds a run."""
    if (folder / "run.json").exists():
        raise FileExistsError(f"{folder} already holds a run; choose another folder, or resume it")
    values, how = params.model_dump(mode="json"), setup.model_dump(mode="json")
    plan = Plan(method_id, values, how, time.time(), name, visitor, cloned_from, clock.stamp())
    (folder / "control").mkdir(parents=True, exist_ok=True)
    replace_file(folder / "run.json", json.dumps(vars(plan), indent=1).encode())
    return plan


def write_state(folder: Path, state: State, **more: Any) -> None:
    """Replace state.json; keys that are not given keep their value. An ending is told even when the disk is full."""
    told = read_state(folder) | more | {"state": state, "changed": time.time()}
    try:
        replace_file(folder / "state.json", json.dumps(told).encode())
    except OSError as error:
        if state not in EXIT or error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free_reserve(folder)
        replace_file(folder / "state.json", json.dumps(told).encode())


def keep_reserve(folder: Path) -> None:
    """Set some room aside so that the end of the run can be told on a full disk. OSError when it is full already."""
    (folder / "reserve").write_bytes(bytes(RESERVE))


def free_reserve(folder: Path) -> None:
    (folder / "reserve").unlink(missing_ok=True)


def read_state(folder: Path) -> dict[str, Any]:
    """state.json; {} before the run was ever started, and when the file was damaged from outside."""
    try:
        return json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return {}


def wish(folder: Path, name: Wish) -> None:
    """Ask a run for something; it answers after its next step."""
    (folder / "control").mkdir(exist_ok=True)
    with suppress(FileExistsError):  # the time of the first asking stays
        (folder / "control" / name).touch(exist_ok=False)
        with suppress(OSError):  # on a full disk it is a wish without a time
            (folder / "control" / name).write_text(clock.stamp(), encoding="utf-8")


def wished_since(folder: Path, name: str) -> float:
    """Seconds since the wish was made; 0 when that cannot be told, as for one that has just been granted."""
    try:
        return clock.since((folder / "control" / name).read_text(encoding="utf-8")) or 0.0
    except (FileNotFoundError, UnicodeDecodeError):
        return 0.0


def wishes(folder: Path) -> set[str]:
    """What is wished and not yet granted."""
    try:
        return set(os.listdir(folder / "control"))
    except FileNotFoundError:
        return set()


def granted(folder: Path, name: Wish) -> bool:
    """Take a wish off the list; False when nobody wished it."""
    try:
        (folder / "control" / name).unlink()
    except FileNotFoundError:
        return False
    return True
