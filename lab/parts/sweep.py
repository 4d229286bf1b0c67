"""A sweep as it goes: how far it is, its best cell, the map that fills, the table, and what one may do with it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import streamlit as st

from lab.commands.output import text
from lab.parts.choices import named_choice
from lab.parts.exhibit import is_dark
from lab.parts.housekeeping import warn_of_dependents
from lab.parts.links import PAGES, link
from lab.parts.progress import COLOURS, Colour, ago
from lab.parts.sweep_filters import filters
from lab.parts.titles import title_of
from lab.parts.visitor import refusal
from lab.pictures import words
from lab.plots import Plot, style
from lab.runs.cells import ORDER, Cell, best, cells, courses
from lab.runs.grid import as_word
from lab.runs.sweep import Sweep, all_sweeps, find_sweep
from lab.sweep_plots import digits, heat_map, line, parallel

STANDING: dict[str, Colour] = {"making": "blue", "running": "primary", "stopped": "orange", "done": "green"}
BESIDE = 600
"""Pixels up to which a heat map leaves room for the table at its side."""
GOING, SHOWN = ("making", "running"), 10
MAPPED = 4
"""Knobs that heat maps can show: two in each, the others side by side and under one another."""


def sweeps() -> None:
    """All sweeps in lines, newest first, drawn again while one of them goes on."""
    going = any(sweep.standing in GOING for sweep in all_sweeps())
    st.fragment(_sweeps, run_every=3.0 if going else None)()


def _sweeps() -> None:
    there = list(all_sweeps())
    pages = -(-len(there) // SHOWN)
    at = st.session_state.get("sweeps-page", 1) if pages > 1 else 1
    for sweep in there[(at - 1) * SHOWN : at * SHOWN]:
        plan, standing = sweep.plan, sweep.standing
        done = sum(run is not None and run.state == "done" for run in sweep.runs)
        with st.container(horizontal=True, vertical_alignment="center", key=f"row-{sweep.id}"):
            st.badge(standing, color=STANDING[standing], width=104)
            link("sweep", title_of(plan), query={"id": sweep.id}, width=215)
            st.markdown(f":gray[{plan.method}]", width=225)
            st.markdown(" × ".join(f"{words(name)} ({len(plan.grid[name])})" for name in plan.grid), width=335)
            st.markdown(f"{done} of {len(plan.runs)} runs", width=110)
            st.markdown(f":gray[{ago(plan.created)}]", width=130)
    if pages > 1:
        st.pagination(pages, key="sweeps-page")


def sweep(id: str) -> None:
    """The sweep `id`, drawn again while anything of it goes on."""
    found = find_sweep(id)
    going = found.standing in GOING
    st.fragment(_sweep, run_every=1.5 if going else None)(found, going)


def _sweep(sweep: Sweep, was_going: bool) -> None:
    standing, plan = sweep.standing, sweep.plan
    if was_going and standing not in GOING:
        st.rerun()
    status(sweep, standing)
    figure, higher, take = choice(sweep)
    found = cells(sweep, figure, higher, take)
    best_of(found, figure, higher, standing == "done", plan.setup["seed"])
    narrow = len(plan.grid) == 1 or (len(plan.grid) == 2 and heat_map(found, plan.grid, figure, higher).width <= BESIDE)
    left, right = st.columns([3, 2], gap="large") if narrow else (st.container(), st.expander("Table"))
    with left:
        maps(sweep, found, figure, higher)
    with right:
        table(sweep, found, figure)


def maps(sweep: Sweep, found: list[Cell], figure: str, higher: bool) -> None:
    """A line, heat maps, lines through all knobs: what suits the number of knobs, with a sentence each."""
    plan = sweep.plan
    if len(plan.grid) == 1:
        chart(line(found, plan.grid, figure, higher), f"line-{sweep.id}", figure)
        st.caption("Each dot is a run; the line joins the means, the band is one standard deviation over seeds.")
    elif len(plan.grid) <= MAPPED:
        chart(heat_map(found, plan.grid, figure, higher), f"map-{sweep.id}", figure)
        spread = " Small: one standard deviation over seeds." if plan.seeds > 1 else ""
        better = "higher" if higher else "lower"
        st.caption(f"{words(figure).capitalize()}; {better} is better, brighter is better, a ring marks the best."
                   f"{spread} A cell leads to its run.")  # fmt: skip
    if len(plan.grid) > 2 and any(cell.mean is not None for cell in found):
        kept = filters(sweep, found, figure)
        chart(parallel(found, plan.grid, figure, higher, is_dark(), kept), f"parallel-{sweep.id}", figure)
        told = "Each line is a cell, from knob to knob to its figure; the best is thick. Point at one to follow it."
        if not all(kept):
            told += f" {sum(kept)} of {len(kept)} cells pass the filters; the others are grey, and none is the best."
        st.caption(told)


def status(sweep: Sweep, standing: str) -> None:
    """State, counts and time in a line, with the verbs that fit."""
    runs, plan = sweep.runs, sweep.plan
    counts = Counter(run.state if run else "missing" for run in runs)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(standing, color=STANDING[standing])
        st.markdown(f"{counts['done']} of {len(runs)} runs done", width="content")
        for state in ORDER:
            if counts[state]:
                colour = COLOURS.get(state, "gray")
                st.markdown(f":{colour}[{counts[state]} {state}]", width="content")
        if no := refusal(plan):
            st.markdown(f":gray[{no}]", width="content")
        elif standing in GOING:
            act("Stop the rest", sweep.stop, f"stop-{sweep.id}")
        elif standing == "stopped":
            act("Resume", sweep.resume_apart, f"resume-{sweep.id}")
        if not no and standing not in GOING and st.button("Delete", key=f"delete-{sweep.id}"):
            confirm_delete(sweep)
    if standing != "done":
        st.progress(counts["done"] / len(plan.runs))


@st.dialog("Delete this sweep?")
def confirm_delete(sweep: Sweep) -> None:
    """Ask before a sweep is thrown away with its runs, and say who needs them."""
    there = [run for run in sweep.runs if run]
    st.markdown(f"{title_of(sweep.plan)} :gray[{sweep.id}, {ago(sweep.plan.created)}]")
    warn_of_dependents(there, besides=sweep.id)
    count = "Its one run goes" if len(there) == 1 else f"All its {len(there)} runs go"
    st.markdown(f"{count} with it: curves, pictures and checkpoints are gone for good.")
    if st.button("Delete all", type="primary", key="delete-sweep-now"):
        try:
            sweep.delete()
        except (ValueError, OSError) as error:
            st.error(f"{error}.")
            return
        st.switch_page(PAGES / "sweeps.py")


def act(label: str, verb: Any, key: str) -> None:
    """A button; what cannot be done is said."""
    if st.button(label, key=key):
        try:
            verb()
        except (ValueError, OSError) as error:
            st.error(f"{error}.")
        else:
            st.rerun()


def choice(sweep: Sweep) -> tuple[str, bool, Any]:
    """What is compared: the plan's figure, or another that the runs reported; which way is better; last or best."""
    plan = sweep.plan
    known = dict.fromkeys([plan.figure, *(name for run in sweep.runs if run for name in courses(run))])
    with st.container(horizontal=True, vertical_alignment="top"):
        figure = named_choice(
            st.selectbox, "Figure", list(known), key="figure", usual=plan.figure, format_func=words, width=260
        )
        usual = plan.higher if figure == plan.figure else not any(word in figure for word in ("loss", "error"))
        take = st.segmented_control(
            "Value of a run", ["last", "best"], default=plan.take, required=True, key="take", bind="query-params"
        )
    return figure, usual, take


def best_of(found: list[Cell], figure: str, higher: bool, done: bool, first_seed: int) -> None:
    """The best cell in a sentence, with the way to its runs."""
    first = best(found, higher)
    if first is None or first.mean is None:
        st.markdown("The best cell is named here once a run is done.")
        return
    place = ", ".join(f"**{words(name)} {as_word(value)}**" for name, value in first.place.items())
    places = digits([cell.mean for cell in found if cell.mean is not None])
    spread = f" ± {first.deviation:.{places}f} over {len(first.figures)} seeds" if len(first.figures) > 1 else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        equals = sum(cell.mean == first.mean for cell in found) - 1
        more = f", and {equals} {'others' if equals > 1 else 'other'} with the same" if equals else ""
        best_is = f"{words(figure)} **{first.mean:.{places}f}**{spread}{more}"
        st.markdown(f"Best{'' if done else ' so far'}: {place}, {best_is}", width="content")
        for seed, run in enumerate(first.runs, first_seed):
            if run:
                label = "Open its run" if len(first.runs) == 1 else f"Run of seed {seed}"
                link("run", label, query={"id": run.id}, width="content")


def chart(plot: Plot, key: str, figure: str) -> None:
    st.vega_lite_chart(
        plot.rows, plot.spec | {"config": style(is_dark())}, width="content" if plot.width else "stretch", key=key,
        alt=f"{words(figure)} of each cell",
    )  # fmt: skip


def table(sweep: Sweep, found: list[Cell], figure: str) -> None:
    """Every cell in a row, with the way to its first run."""
    rows: dict[str, list[Any]] = {
        words(name): [as_word(cell.place[name]) for cell in found] for name in sweep.plan.grid
    }
    rows[words(figure)] = [cell.mean for cell in found]
    if sweep.plan.seeds > 1:
        rows["±"] = [cell.deviation if len(cell.figures) > 1 else None for cell in found]
        rows["seeds done"] = [f"{len(cell.figures)} of {len(cell.states)}" for cell in found]
    rows["state"] = [cell.state for cell in found]
    if any(cell.cause for cell in found):
        rows["cause"] = [cell.cause for cell in found]
    rows["run"] = [next((f"/run?id={run.id}" for run in cell.runs if run), None) for cell in found]
    column = st.column_config.LinkColumn("run", display_text=r"id=\d+-(.*)")
    st.dataframe(rows, hide_index=True, column_config={"run": column}, alt="the cells of this sweep", width="content")


def settings(sweep: Sweep) -> None:
    """What stays the same in all cells."""
    plan = sweep.plan
    with st.expander("What all cells share"):
        shared = {name: value for name, value in {**plan.values, **plan.setup}.items() if name not in plan.grid}
        st.dataframe({"knob": list(map(words, shared)), "value": list(map(text, shared.values()))}, hide_index=True,
                     width=640, alt="the knobs that all cells share")  # fmt: skip
        st.caption(f"Its folder is {sweep.folder}")
