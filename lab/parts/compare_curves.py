"""Every number that two runs share, their curves over one another, and where each came to."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from lab.components.overlay import overlay
from lab.figures import plain
from lab.overlaid import AXES, Overlaid
from lab.pictures import words
from lab.runs import Run
from lab.runs.compare import curve, summary
from lab.runs.state import LIVE


def curves(runs: Sequence[Run]) -> None:
    """The curves, drawn again while a run lives."""
    live = any(run.state in LIVE for run in runs)
    st.fragment(_curves, run_every=2.0 if live else None)(runs)


def _curves(runs: Sequence[Run]) -> None:
    if not Overlaid(runs).numbers:
        st.markdown("No number was reported by two of them.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        over = st.segmented_control("Along", AXES, default="step", required=True, key="along", bind="query-params")
        window = st.slider(
            "Smoothing", 1, 201, 17, 4, key="smoothing", bind="query-params", width=320, format="%d points",
            help="The mean over so many neighbouring points, but no more than a tenth of a curve; the raw numbers stay "
            "faintly visible. 1: none.",
        )  # fmt: skip
    overlaid = Overlaid(runs, over)
    named = zip(overlaid.names, overlaid.epochs, strict=True)
    if over == "epoch" and (unknown := [name for name, steps in named if steps is None]):
        st.caption(
            f"Not drawn, because their knobs do not tell how many steps make an epoch: {', '.join(unknown)}. Known are "
            "runs with a batch, on data whose number of pictures is known."
        )
    overlay(overlaid.figures(window), overlaid.unit[0], key="overlaid")
    if overlaid.steady:
        told = (f"{words(number)} {plain(value)}" for number, value in overlaid.steady.items())
        st.caption(f"The same throughout: {', '.join(told)}.")
    st.dataframe(ends(overlaid), hide_index=True, alt="where each number came to")


def ends(overlaid: Overlaid) -> dict[str, list]:
    """A table: of each number and run the last value, the lowest and the highest, and their steps."""
    table: dict[str, list] = {
        column: [] for column in ("number", "run", "last", "lowest", "at step", "highest", "at step ")
    }
    for number in overlaid.numbers:
        for name, one in zip(overlaid.names, overlaid.series, strict=True):
            told = summary(curve(one, number, "step"))
            if told is not None:
                cells = (told.last, told.lowest, told.lowest_at, told.highest, told.highest_at)
                row = (words(number), name, *map(plain, cells))
                for column, cell in zip(table.values(), row, strict=True):
                    column.append(cell)
    return table
