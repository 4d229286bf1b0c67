"""What a killed process leaves half done in the folder of runs: hidden folders on their way in or out.

Who works on such a folder holds a lock on it (flock: it falls with its holder, passes along when the folder is renamed,
and holds between the threads of a process too). A hidden folder without one is nobody's.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from lab.home import runs_folder

INCOMING, DOOMED = ".import-", ".deleted-"


@contextmanager
def new_incoming() -> Iterator[Path]:
    """An empty folder beside the runs, to be filled and renamed; what is not renamed is deleted on leaving."""
    while True:
        folder = Path(mkdtemp(prefix=INCOMING, dir=runs_folder()))
        with _held(folder) as mine:
            if not mine:  # somebody swept it up before it was locked
                continue
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return


def throw_away(folder: Path) -> None:
    """Delete a run's folder: it is gone from all lists at once, and then from the disk."""
    with _held(folder):
        doomed = folder.with_name(DOOMED + folder.name)
        os.replace(folder, doomed)
        shutil.rmtree(doomed)


def sweep_up() -> list[str]:
    """Delete what killed processes have left; the names. What cannot be deleted is left for another time."""
    swept = []
    for path in runs_folder().iterdir():
        if path.name.startswith((INCOMING, DOOMED)) and path.is_dir() and not path.is_symlink():
            with suppress(OSError), _held(path) as mine:
                if mine:
                    shutil.rmtree(path)
                    swept.append(path.name)
    return swept


@contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Whether the folder is there and now locked by us; nobody is waited for."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield os.fstat(handle).st_nlink > 0 and folder.exists()
    finally:
        os.close(handle)
