"""Time that nobody can set. A wall clock may jump by hours while a run lives; this one only goes on.

A stamp is a moment that another process of this machine can measure from, until the machine is started anew.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path


@cache
def _boot() -> str:
    """What this start of the machine is called; "" where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def stamp() -> str:
    """Now."""
    return f"{time.monotonic()} {_boot()}"


def since(stamp: str) -> float | None:
    """Seconds since `stamp` was made; None when it is none, or the machine or its start is another."""
    seconds, _, boot = stamp.partition(" ")
    try:
        passed = time.monotonic() - float(seconds)
    except ValueError:
        return None
    return passed if boot == _boot() and passed >= 0 else None
