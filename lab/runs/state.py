"""The true state of a run: what its folder tells, corrected by who is at work on it and by what is wished."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine import clock
from engine.folder import Plan, State, read_state, wished_since, wishes
from engine.lock import holder

LIVE: frozenset[str] = frozenset({"queued", "starting", "running", "pausing", "cancelling"})
ENDED: frozenset[str] = frozenset({"paused", "cancelled", "failed", "done"})
SUPERVISOR_STARTS = 10.0
"""Seconds within which a planned run's supervisor appears."""
TERM_AFTER, KILL_AFTER = 10.0, 30.0
"""Seconds from a wish to end to SIGTERM, and to SIGKILL."""


def true_state(folder: Path) -> State:
    """How the run in `folder` really stands.

    lost: it says that it lives, but nobody holds its lock. An ending is believed once its process is gone. Wishes show
    as pausing or cancelling until they are granted.
    """
    state: State = "lost"
    for _ in range(2):  # a run that ends or starts between the two looks is no lost run
        held = holder(folder / "live.lock") is not None
        told = read_state(folder)
        state = derive(told, held, wishes(folder) if held else set(), 0.0 if told else _age(folder))
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


def ending(folder: Path) -> str:
    """What a run that is pausing or cancelling waits for, since when, and what follows; "" when nothing is asked."""
    asked = [wished_since(folder, name) for name in wishes(folder) & {"cancel", "pause"}]
    return ending_words(read_state(folder), max(asked)) if asked else ""


def ending_words(told: Mapping[str, Any], seconds: float) -> str:
    """The words for a run that was asked to end `seconds` ago."""
    state = told.get("state", "queued")
    since = f"asked {seconds:.0f} s ago"
    if state == "queued":
        return f"leaving the line, {since}"
    if state in ENDED:
        return f"saved, {since}; its process is leaving"
    doing = {"starting": "ending before its first step", "running": "finishing its step"}.get(state, "saving")
    if seconds < TERM_AFTER and state != "starting":
        return f"{doing}, {since}; SIGTERM follows in {TERM_AFTER - seconds:.0f} s"
    if seconds < KILL_AFTER:
        return f"{doing}, {since}; SIGTERM was sent, SIGKILL follows in {KILL_AFTER - seconds:.0f} s"
    return f"{since}; SIGKILL was sent, its process is not gone yet"


def _age(folder: Path) -> float:
    """Seconds since the run was planned; endless when that cannot be told or the machine was restarted since."""
    try:
        age = clock.since(Plan.read(folder).moment)
    except ValueError:
        age = None
    return float("inf") if age is None else age
