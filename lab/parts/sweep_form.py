"""A new sweep: a method, one to four knobs with the values to try, how many runs that is, how long, and Start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from engine import catalog
from engine.params import Knob, Preset
from lab import warm
from lab.forms import form, label, plain, sentence
from lab.parts.links import PAGES
from lab.parts.play import wait_for
from lab.parts.train import sources
from lab.parts.visitor import visitor
from lab.pictures import words
from lab.runs.figure import known_figures
from lab.runs.grid import Grid, as_word, suggested, values_of
from lab.runs.line import gpus
from lab.runs.ready import ready_sweeps, seconds, sweep_command
from lab.runs.sweep import SEEDS, lay_out, plan_sweep

if TYPE_CHECKING:
    from engine.bench import Setup
    from engine.method import Method, Sweep
    from engine.params import Params

VARIED = 4
OWN = "your own"


def new_sweep() -> None:
    """The form. Nothing starts before its button is pressed."""
    id = st.selectbox(
        "Method", catalog.ids(), index=None, key="method", bind="query-params", width=420, placeholder="Choose a method"
    )
    if not warm.is_warm():
        wait_for("")
    elif id is None:
        ready_made()
    else:
        start_form(id, chosen_ready(id))


def ready_made() -> None:
    """The sweeps that are ready to start."""
    for id, ready in ready_sweeps():
        with st.container(horizontal=True, vertical_alignment="center"):
            title = f"{catalog.card(id).title}: {ready.name}"
            st.button(title, on_click=choose, args=(id, ready.name), key=f"choose-{id}-{ready.name}", width=260)
            st.markdown(f":gray[{ready.asks}]", width="content")


def choose(id: str, name: str) -> None:
    """Fill the form with a ready-made sweep."""
    st.session_state["method"], st.session_state["ready-made"] = id, name


@st.fragment
def start_form(id: str, ready: Sweep | None) -> None:
    """Knobs and values on the left; what they come to, the command and Start on the right."""
    from engine.bench import Setup

    found = catalog.method(id)
    left, right = st.columns([3, 2], gap="large")
    with left:
        presets: list[Preset] = ["demo", "paper", "tiny"]
        preset = st.segmented_control("Preset", presets, default="demo", required=True, key=f"sweep-preset-{id}")
        grid = varied(found, ready, f"{id}-{preset}-{ready.name if ready else ''}")
        with st.container(horizontal=True):
            seeds = int(
                st.number_input("Runs of each cell, with other seeds", 1, SEEDS, 1, key=f"seeds-{id}", width=260)
            )
            figure = st.selectbox(
                "Compared by", known_figures(found), format_func=words, key=f"figure-{id}", width=260,
                help="The number in a run's report by which the cells are compared; first that of the method's claim.",
            )  # fmt: skip
        with st.expander("The other knobs"):
            st.caption("The knobs that are varied take their values from above.")
            start = found.params.make(ready.values if ready else {}, preset)
            params = form(found.params, start, f"sweep-{id}-{preset}", sources=sources())
        with st.expander("How it is carried out"):
            setup = form(Setup, Setup(), f"sweep-setup-{id}")
    with right:
        name = st.text_input("Name of the sweep", key=f"sweep-name-{id}", placeholder="optional")
        if grid is not None and params is not None and setup is not None:
            conclude(id, found, params, setup, grid, preset, seeds, figure, name)


def chosen_ready(id: str) -> Sweep | None:
    """The ready-made sweep that was asked for, in the address or here."""
    several = {ready.name: ready for ready in catalog.method(id).sweeps}
    if not several:
        return None
    name = st.segmented_control(
        "Ready-made", [*several, OWN], default=next(iter(several)), required=True, key="ready-made", bind="query-params"
    )
    if name in several:
        st.caption(several[name].asks)
    return several.get(name)


def varied(method: Method, ready: Sweep | None, key: str) -> dict[str, tuple[Any, ...]] | None:
    """The knobs that are varied and their values; None while something is wrong, said at the field."""
    knobs = {knob.name: knob for knob in method.params.knobs()}
    first = list(ready.grid) if ready else [name for name in ("lr",) if name in knobs]
    names = st.multiselect(
        "Knobs to vary", list(knobs), first, max_selections=VARIED, format_func=words, key=f"varied-{key}",
        help="One makes a line, two a heat map, three or four several maps and lines through all knobs.",
    )  # fmt: skip
    grid: dict[str, tuple[Any, ...]] = {}
    wrong = not names
    columns = st.columns(2)
    for i, name in enumerate(names):
        with columns[i % 2]:
            knob = knobs[name]
            usual = ready.grid[name] if ready and name in ready.grid else suggested(knob)
            written = st.text_input(
                label(knob), ", ".join(map(as_word, usual)), key=f"values-{key}-{name}", help=helped(knob)
            )
            try:
                grid[name] = values_of(written, knob)
            except ValueError as error:
                st.error(f"{str(error)[0].upper()}{str(error)[1:]}.")
                wrong = True
    return None if wrong else grid


def helped(knob: Knob) -> str:
    """What a knob does, its range, and how values are written."""
    told = sentence(knob.help)
    if knob.low is not None and knob.high is not None:
        told += f" From {plain(knob.low)} to {plain(knob.high)}."
    if knob.choices:
        told += f" Of {', '.join(knob.choices)}."
    ways = " Commas between values; 3:30:3 is a range" if knob.kind in ("int", "float") else " Commas between values"
    return told + ways + ("; 1e-4..1e-2x3 three in even factors." if knob.kind == "float" else ".")


def conclude(
    id: str, method: Method, params: Params, setup: Setup, grid: Grid, preset: Preset, seeds: int, figure: str,
    name: str,
) -> None:  # fmt: skip
    """What the sweep comes to, the command that does the same, and Start."""
    try:
        layout = lay_out(params, grid, seeds)
    except ValueError as error:
        st.error(f"{error}.")
        return
    takes = seconds(id, method, layout * seeds)
    with st.container(horizontal=True, gap="large"):
        st.metric("cells", len(layout), width="content")
        st.metric("runs", len(layout) * seeds, width="content")
        if takes is not None:
            st.metric("about", duration(takes), width="content", help="At the speed at which the demo's receipt was "
                      f"measured, {max(1, len(gpus()))} at a time.")  # fmt: skip
    shown = "" if figure == known_figures(method)[0] else figure
    st.markdown("The same as a command:")
    st.code(sweep_command(id, params, setup, grid, preset, seeds=seeds, figure=shown), language="bash", wrap_lines=True)
    if st.button("Start the sweep", type="primary", width="stretch"):
        try:
            sweep = plan_sweep(id, params, setup, grid, seeds=seeds, figure=figure, name=name, visitor=visitor())
            sweep.resume_apart()
        except (ValueError, OSError) as error:
            st.error(f"{error}.")
            return
        st.switch_page(PAGES / "sweep.py", query_params={"id": sweep.id})


def duration(seconds: float) -> str:
    """Seconds in the largest unit of which there are two."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1.0, seconds):.0f} seconds"
