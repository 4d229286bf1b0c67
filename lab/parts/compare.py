"""Two runs in one frame: what was asked of them, and their curves over one another."""

from __future__ import annotations

import streamlit as st

from engine.method import Curves
from lab.figures import draw
from lab.forms import plain
from lab.parts.exhibit import show_figure
from lab.parts.progress import curves_of
from lab.pictures import words
from lab.runs import Run, differences


def compare(one: Run, two: Run) -> None:
    """The knobs that differ, then each number that both reported."""
    names = [run.plan.name or run.id for run in (one, two)]
    if names[0] == names[1]:
        names = [one.id, two.id]
    st.subheader("Side by side", anchor=False)
    rows = [row for row in differences(one, two) if row.differs]
    if rows:
        table = {"knob": [row.name.replace("_", " ") for row in rows]}
        for i, name in enumerate(names):
            table[name] = ["" if row.values[i] is None else plain(row.values[i]) for row in rows]
        st.dataframe(table, hide_index=True, alt="knobs that differ")
    else:
        st.markdown("Nothing differs in what was asked of them.")
    series = [run.series() for run in (one, two)]
    shared = [name for name in numbers(series[0]) if name in numbers(series[1])]
    grid = st.columns(2, gap="large")
    for i, name in enumerate(shared):
        found = {
            f"{label}": curves_of(rows, [Curves((name,), "")])[name] for label, rows in zip(names, series, strict=True)
        }
        with grid[i % 2]:
            st.markdown(f"**{words(name)}**")
            for figure in draw(Curves(tuple(found), name), found):
                show_figure(figure, name, f"compare-{i}")


def numbers(rows: list[dict]) -> list[str]:
    """The names of the numbers in a series."""
    return list(dict.fromkeys(name for row in rows for name in row if name not in ("step", "time")))
