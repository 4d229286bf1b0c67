"""Who is at work on a run: POSIX record locks, which the kernel drops at their holder's death, whatever killed it.

Unlike a process id in a file, a lock cannot be held by a zombie or by a stranger who got the same number. Unlike flock,
it does not pass to forked children. One trap: a process loses its locks on a file as soon as it closes *any* handle
of that file, so who holds a lock must not call `holder` on it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import struct
import sys
from pathlib import Path
from types import TracebackType

SUPERVISOR, RUN = 0, 1
"""The bytes of a run's live.lock: held while a supervisor cares for the run, and while the run itself computes."""


class Lock:
    """One byte of a file, held from `take` until `release` or the end of the process."""

    def __init__(self, path: Path, byte: int = 0):
        self.path, self.byte = path, byte
        self._handle = -1

    def take(self) -> bool:
        """Take the lock without waiting; False when another process holds it."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self.byte)
        except (BlockingIOError, PermissionError):
            os.close(handle)
            return False
        self._handle = handle
        return True

    def release(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Lock:
        if not self.take():
            raise ValueError(f"{self.path.parent} is in use by process {holder(self.path)}; wait for it, or cancel it")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def holder(path: Path) -> int | None:
    """The process that holds any byte of the lock file; None when nobody does. Takes nothing, waits for nothing."""
    linux = sys.platform.startswith("linux")
    layout = "hhqqi4x" if linux else "qqihh"
    whole = (fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0) if linux else (0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        answer = struct.unpack(layout, fcntl.fcntl(handle, fcntl.F_GETLK, struct.pack(layout, *whole)))
    finally:
        os.close(handle)
    kind, pid = (answer[0], answer[4]) if linux else (answer[3], answer[2])
    return None if kind == fcntl.F_UNLCK else pid


def end_with_parent(by: signal.Signals = signal.SIGTERM) -> None:
    """In a child before its program starts: let the kernel send this signal when the parent dies. By SIGTERM a run
    saves, and ends as one that was asked to."""
    if sys.platform.startswith("linux"):
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, by)
