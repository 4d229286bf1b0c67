"""The true state of a run: what its folder tells, corrected by who is at work on it and by what is wished."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.folder import State, read_state, wishes
from engine.lock import holder

LIVE: frozenset[str] = frozenset({"queued", "starting", "running", "pausing", "cancelling"})
ENDED: frozenset[str] = frozenset({"paused", "cancelled", "failed", "done"})
SUPERVISOR_STARTS = 10.0
"""Seconds within which a planned run's supervisor appears."""


def true_state(folder: Path) -> State:
    """How the run in `folder` really stands.

    lost: it says that it lives, but nobody holds its lock. An ending is believed once its process is gone. Wishes show
    as pausing or cancelling until they are granted.
    """
    state: State = "lost"
    for _ in range(2):  # a run that ends or starts between the two looks is no lost run
        held = holder(folder / "live.lock") is not None
        state = derive(read_state(folder), held, wishes(folder) if held else set(), _age(folder))
        if state != "lost":
            break
    return state


def derive(told: Mapping[str, Any], held: bool, wished: set[str], age: float) -> State:
    """The state from what is told, whether the lock is held, the wishes, and the seconds since the run was planned."""
    state: State = told.get("state", "queued")
    if not held:
        if state in ENDED:
            return state
        return "queued" if not told and 0 <= age < SUPERVISOR_STARTS else "lost"
    if state == "cancelled" or "cancel" in wished:
        return "cancelling"
    if state == "paused" or "pause" in wished:
        return "pausing"
    return "running" if state in ENDED else state


def _age(folder: Path) -> float:
    try:
        return time.time() - (folder / "run.json").stat().st_mtime
    except FileNotFoundError:
        return float("inf")
