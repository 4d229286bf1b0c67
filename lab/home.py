"""The lab's home folder, and the checks of what enters from outside: ids, names, paths, room on the disk.

VISIONARIUM_HOME (~/.visionarium without it):
    runs/<id>/            one folder a run; the truth
    sweeps/<id>/          one folder a sweep: which runs belong together, and what they vary
    index.sqlite          a copy of what the lists need; may be deleted at any time
    features/             what networks made of whole sets, for the page of maps; may be deleted at any time
    devices/<device>/     who waits for a device and who has it
    pictures/             the last pictures that visitors brought to be named by a knob
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import time
from pathlib import Path

ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
LEAST_FREE = 256 << 20
"""Bytes that must be free before a run starts."""


def home() -> Path:
    """The home folder, made when missing. ValueError when that is not possible."""
    given = os.environ.get("VISIONARIUM_HOME", "")
    folder = Path(given or "~/.visionarium").expanduser().absolute()
    try:
        (folder / "runs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"the home folder {folder} cannot be made ({error.strerror}); set VISIONARIUM_HOME to one that can"
        ) from None
    return folder


def runs_folder() -> Path:
    return home() / "runs"


def new_run_folder() -> Path:
    """Make the empty folder of a new run."""
    return new_folder(runs_folder())


def new_folder(parent: Path) -> Path:
    """Make an empty folder in `parent`. Its name is the time, to 15 microseconds: names sort as they were made."""
    while True:
        now = time.time()
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
        folder = parent / f"{stamp}-{int(now % 1 * 65536):04x}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise ValueError(
                f"no run can be stored in {folder.parent} ({error.strerror}); set VISIONARIUM_HOME to another folder"
            ) from None
        return folder


def run_folder(id: str) -> Path:
    """The folder of the run `id`. ValueError when it is no run's id or there is no such run."""
    if not ID.fullmatch(id):
        raise ValueError(f"{id!r} is no run's id; ids look like 20261122-171233-4f2a")
    folder = runs_folder() / id
    if not folder.is_dir():
        raise ValueError(f"there is no run {id}; `visionarium runs list` shows those there are")
    return folder


def checked_name(name: str) -> str:
    """A name that a person gave to a run, without spaces around it. ValueError when it cannot be shown in a line."""
    name = name.strip()
    if len(name) > 80 or not name.isprintable():
        raise ValueError(f"name: {name[:40]!r} cannot be; up to 80 printable characters are allowed")
    return name


def login_name() -> str:
    """Who runs this process; "" where the system knows no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def inside(folder: Path, relative: str) -> Path:
    """A file in `folder` by its relative path. ValueError when the path leads out of the folder or to no file."""
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise ValueError(f"there is no file {relative!r} in {folder.name}")
    return path


def check_writable(folder: Path) -> None:
    """ValueError when nothing can be written in `folder`, or in its parent that exists."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(
            f"{there} cannot be written: runs can be looked at, but none can be started or changed; "
            "make its disk writable, or set VISIONARIUM_HOME to another folder"
        )


def check_space(folder: Path) -> None:
    """ValueError when `folder` (or its parent that exists) cannot be written, or its disk has no room for a run."""
    check_writable(folder)
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE:
        raise ValueError(
            f"only {free >> 20} MB are free in {there}, and a run needs {LEAST_FREE >> 20} MB; "
            "free some space, delete runs, or choose another folder"
        )
