"""Runs side by side: who they are, each with its colour, and what was asked of them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from lab.forms import plain
from lab.overlaid import colour_of
from lab.parts.links import link
from lab.parts.progress import COLOURS as STATES
from lab.parts.titles import method_title
from lab.runs import Run
from lab.runs.compare import differences, labels


def who(runs: Sequence[Run]) -> None:
    """The runs in a few lines: colour, name, method, state."""
    with st.container(horizontal=True, key="compared"):
        for place, (run, label) in enumerate(zip(runs, labels(runs), strict=True)):
            with st.container(key=f"compared-{place}", width=300, gap="xsmall"):
                st.html(f'<hr style="border:0;height:4px;margin:0;background:{colour_of(place)}">')
                with st.container(horizontal=True, vertical_alignment="center"):
                    link("run", label, query={"id": run.id})
                    st.badge(run.state, color=STATES[run.state])
                st.caption(method_title(run.plan.method))


def asked(runs: Sequence[Run]) -> None:
    """Knobs as rows, runs as columns; at first only those that differ."""
    only = st.toggle("Differences only", True, key="differences", bind="query-params")
    rows = differences(*runs)
    differing = [row for row in rows if row.differs]
    if only and not differing:
        st.markdown("Nothing differs in what was asked of them.")
        return
    table = {"": [row.name.replace("_", " ") for row in (differing if only else rows)]}
    for place, label in enumerate(labels(runs)):
        values = [row.values[place] for row in (differing if only else rows)]
        table[label] = ["" if value is None else plain(value) for value in values]
    st.dataframe(table, hide_index=True, width="content", alt="what was asked of each run")
