"""A run as it goes: state, time machine, the end of its log, and what one may do with it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import streamlit as st

from engine.method import Bars, Curves, Exhibit, Table
from lab import timeline, warm
from lab.parts.exhibit import show
from lab.parts.failure import failure
from lab.parts.queue import DEVICES
from lab.parts.timemachine import film_button, time_machine
from lab.parts.titles import missing
from lab.parts.visitor import refusal
from lab.runs import Run, find
from lab.runs.queue import queue
from lab.runs.series import series_of
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
    """The run, drawn again twice a second while it lives or its method is being loaded."""
    try:
        live = find(id).state in LIVE
    except ValueError as error:
        st.error(f"{error}.")
        return
    warm_by_now = warm.is_warm()
    st.fragment(_progress, run_every=None if warm_by_now and not live else 0.5)(id, live, warm_by_now)


def _progress(id: str, was_live: bool, was_warm: bool) -> None:
    run = find(id)
    if (was_live and run.state not in LIVE) or (warm.is_warm() and not was_warm):
        st.rerun()
    rows = series_of(run.folder).read()
    status(run, rows)
    exhibits = warm.exhibits(run.plan.method)
    if says := missing(run.plan.method):
        st.caption(says)
    elif not rows:
        st.caption(waiting(run))
    elif not exhibits:
        st.caption("The method is being loaded to show its figures.")
    else:
        time_machine(run, exhibits, timeline.numbers(run, exhibits))
        film_button(run)
    tail(run)


def tail(run: Run) -> None:
    """The end of its log, small."""
    lines = run.log_tail(5)
    if lines:
        with st.container(key="tail"):
            st.code("\n".join(lines), language=None, wrap_lines=True)


def show_curves(exhibits: Iterable[Exhibit], numbers: Mapping[str, Any], key: str) -> None:
    """The curves among exhibits, two in a row; names without numbers are left out."""
    there = [(one, tuple(name for name in one.names if name in numbers)) for one in exhibits if isinstance(one, Curves)]
    curves = [replace(one, names=names) for one, names in there if names]
    grid = st.columns(2, gap="large") if len(curves) > 1 else [st.container()]
    for i, exhibit in enumerate(curves):
        with grid[i % len(grid)]:
            show([exhibit], numbers, f"{key}-curve-{i}")


def waiting(run: Run) -> str:
    """What a run without numbers is doing."""
    state = run.state
    place = next((one for one in queue() if one.folder == run.folder), None) if state == "queued" else None
    if place and place.position is None:
        return "It is held: it starts once it is released on the page of runs."
    if place:
        return f"Number {place.position} of those that wait for {DEVICES[place.line]}."
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
        if steps:
            st.markdown(f"step {step:,} of {steps:,}", width="content")
        if state == "running" and (seconds := pace(rows)):
            left = time_left(seconds * max(0, steps - rows[-1]["step"]))
            st.markdown(f"{spoken_pace(seconds)}, {left}", width="content")
        if ranks := shared_by(run.plan.setup):
            st.markdown(f":gray[{ranks}]", width="content")
        if told.get("device") and told.get("peak_mb"):
            each = " (rank 0)" if ranks else ""
            st.markdown(f":gray[{told['device']}, {told['peak_mb']:,} MB{each}]", width="content")
        buttons(run, state)
    if ending := run.ending:
        st.caption(f":orange[{ending}]")
    elif state in ("paused", "cancelled") and run.cause:
        st.caption(f"{run.cause[0].upper()}{run.cause[1:]}.")
    if steps and state != "done":
        st.progress(min(1.0, step / steps))
    if state in ("failed", "lost"):
        failure(run)


def shared_by(setup: Mapping[str, Any]) -> str:
    """How many processes share each batch, where there are several."""
    ranks = setup.get("ranks", 1)
    return f"{ranks} ranks" if ranks > 1 else ""


def pace(rows: Sequence[Mapping[str, Any]]) -> float:
    """Seconds a step, over the last hundred rows; 0 while nobody can tell."""
    last = rows[-100:]
    if len(last) < 2 or last[-1]["step"] <= last[0]["step"]:
        return 0.0
    return (last[-1]["time"] - last[0]["time"]) / (last[-1]["step"] - last[0]["step"])


def spoken_pace(seconds: float) -> str:
    """Seconds a step in words, in the unit that reads best."""
    return f"{seconds:.1f} s a step" if seconds >= 1 else f"{1000 * seconds:.3g} ms a step"


def time_left(seconds: float) -> str:
    """How long a run still takes, in words."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"about {seconds / size:.0f} {unit} left"
    return f"about {seconds:.0f} seconds left"


def buttons(run: Run, state: str) -> None:
    """What may be done now, and by whom."""
    if no := refusal(run.plan):
        st.markdown(f":gray[{no}]", width="content")
        return
    verbs = {
        "Pause": ({"queued", "starting", "running"}, run.pause),
        "Cancel": (LIVE - {"cancelling"}, run.cancel),
        "Save now": ({"running"}, run.save_now),
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


def ago(seconds: float) -> str:
    """How long ago, in words."""
    passed = time.time() - seconds
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if passed >= size:
            count = int(passed // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
