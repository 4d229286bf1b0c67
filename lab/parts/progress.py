"""A run as it goes: state, curves, kept pictures under one slider, and what one may do with it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import streamlit as st

from engine.method import Bars, Curves, Exhibit, Table
from engine.record import read_values
from lab import warm
from lab.components.scrub import scrub
from lab.figures import PICTURES
from lab.parts.exhibit import is_dark, show
from lab.parts.failure import failure
from lab.runs import Run, Series, find
from lab.runs.state import LIVE

Colour = Literal["gray", "blue", "primary", "orange", "red", "green"]
COLOURS: dict[str, Colour] = {
    "queued": "gray", "starting": "blue", "running": "primary", "pausing": "orange", "paused": "orange",
    "cancelling": "orange", "cancelled": "gray", "failed": "red", "lost": "red", "done": "green",
}  # fmt: skip


def curves_of(rows: Sequence[Mapping[str, Any]], exhibits: Iterable[Exhibit]) -> dict[str, np.ndarray]:
    """Each number that curves show, as (N, 2): step and value; the last value of each number that bars show."""
    found: dict[str, np.ndarray] = {}
    for exhibit in exhibits:
        for name in exhibit.names:
            points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
            if points and isinstance(exhibit, Curves):
                found[name] = np.asarray(points, np.float64)
            elif points and isinstance(exhibit, (Bars, Table)):
                found[name] = np.asarray([points[-1][1]])
    return found


def progress(id: str) -> None:
    """The run, drawn again each second while it lives."""
    try:
        live = find(id).state in LIVE
    except ValueError as error:
        st.error(f"{error}.")
        return
    st.fragment(_progress, run_every=1.0 if live else None)(id, live)


def _progress(id: str, was_live: bool) -> None:
    run = find(id)
    if was_live and run.state not in LIVE:
        st.rerun()
    key = f"series-{id}"
    if key not in st.session_state:
        st.session_state[key] = Series(run.folder)
    rows = st.session_state[key].read()
    status(run, rows)
    exhibits = warm.exhibits(run.plan.method)
    if not rows:
        st.caption(waiting(run.state))
    elif not exhibits:
        st.caption("The method is being loaded to show its figures.")
    else:
        numbers = curves_of(rows, exhibits)
        show_curves(exhibits, numbers, id)
        pictures_of(run, exhibits, numbers)


def show_curves(exhibits: Iterable[Exhibit], numbers: Mapping[str, Any], key: str) -> None:
    """The curves among exhibits, two in a row; those without numbers are left out."""
    curves = [one for one in exhibits if isinstance(one, Curves) and numbers.keys() >= set(one.names)]
    grid = st.columns(2, gap="large") if len(curves) > 1 else [st.container()]
    for i, exhibit in enumerate(curves):
        with grid[i % len(grid)]:
            show([exhibit], numbers, f"{key}-curve-{i}")


def waiting(state: str) -> str:
    """What a run without numbers is doing."""
    return {
        "queued": "Waiting for its turn on the device.",
        "starting": "Loading torch and the data; the first numbers come in a few seconds.",
        "running": "The first numbers come in a moment.",
    }.get(state, "It left no numbers.")


def status(run: Run, rows: Sequence[Mapping[str, Any]]) -> None:
    """State, step and time left in a line; cause and hint where it went wrong."""
    told, state = run.told, run.state
    step, steps = told.get("step") or 0, told.get("steps") or 0
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(state, color=COLOURS[state])
        st.markdown(f"step {step:,} of {steps:,}" if steps else "", width="content")
        if state == "running":
            st.markdown(time_left(rows, steps), width="content")
        if told.get("device") and told.get("peak_mb"):
            st.markdown(f":gray[{told['device']}, {told['peak_mb']:,} MB]", width="content")
        buttons(run, state)
    if steps:
        st.progress(min(1.0, step / steps))
    if state in ("failed", "lost"):
        failure(run)


def time_left(rows: Sequence[Mapping[str, Any]], steps: int) -> str:
    """How long a run still takes at the speed of its last hundred steps."""
    last = rows[-100:]
    if len(last) < 2 or last[-1]["step"] <= last[0]["step"]:
        return ""
    pace = (last[-1]["time"] - last[0]["time"]) / (last[-1]["step"] - last[0]["step"])
    left = pace * max(0, steps - last[-1]["step"])
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if left >= 2 * size:
            return f"about {left / size:.0f} {unit} left"
    return f"about {left:.0f} seconds left"


def buttons(run: Run, state: str) -> None:
    """What may be done now."""
    verbs = {
        "Pause": ({"queued", "starting", "running"}, run.pause),
        "Cancel": (LIVE - {"cancelling"}, run.cancel),
        "Sample now": ({"running"}, run.sample_now),
        "Resume": ({"paused", "cancelled", "failed", "lost"}, run.resume),
    }
    for verb, (when, act) in verbs.items():
        if state in when and st.button(verb, key=f"{verb}-{run.id}"):
            try:
                act()
            except (ValueError, OSError) as error:
                st.error(f"{error}.")
            else:
                st.rerun()


def pictures_of(run: Run, exhibits: Sequence[Exhibit], numbers: Mapping[str, Any]) -> None:
    """All but the curves, at the step that the slider stands on."""
    kept = run.media()
    rest = [(place, exhibit) for place, exhibit in enumerate(exhibits) if not isinstance(exhibit, Curves)]
    if not kept or not rest:
        return
    shown = [(place, exhibit) for place, exhibit in rest if isinstance(exhibit, PICTURES)]
    dark = f"?dark={int(is_dark())}"
    frames = [
        (f"step {step:,}", [f"/api/runs/{run.id}/figures/{place}/{step}{dark}" for place, _ in shown])
        for step, _ in kept
    ]
    at = scrub(frames, key=f"scrub-{run.id}")
    for _, exhibit in shown:
        st.caption(exhibit.says)
    values = {**numbers, **read_values(kept[at][1])[0]}
    others = [one for _, one in rest if not isinstance(one, PICTURES) and values.keys() >= set(one.names)]
    show(others, values, f"{run.id}-kept")


def ago(seconds: float) -> str:
    """How long ago, in words."""
    passed = time.time() - seconds
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if passed >= size:
            count = int(passed // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
