"""A run that went wrong: the cause in a line, what to do about it, the clone that would, and the end of its log."""

from __future__ import annotations

import streamlit as st

from lab.forms import plain
from lab.parts.clone import clone_link
from lab.runs import Run

SHOWN = 12
"""Lines of the log."""


def failure(run: Run) -> None:
    """Why the run failed or was lost, and the ways on."""
    st.error(run.hint or "The end of its log shows more.", title=run.cause or "It ended without a word.")
    instead = run.told.get("instead") or {}
    if instead and run.state == "failed":
        with st.container(horizontal=True):
            for name, value in instead.items():
                clone_link(run, f"Clone with {name.replace('_', ' ')} {plain(value)}", {name: value})
    if lines := run.log_tail(SHOWN):
        st.caption("The end of its log")
        st.code("\n".join(lines), language=None, wrap_lines=True)
