"""Which runs are chosen on the page of runs: kept over paging, filters and pages, until they are unchosen."""

from __future__ import annotations

import streamlit as st

from lab.runs import Run

CHOSEN = "chosen-"


def box(run: Run) -> None:
    """The checkbox before a run."""
    st.checkbox(
        "choose", key=f"{CHOSEN}{run.id}", label_visibility="collapsed", width="content", persist_state="session"
    )


def is_chosen(run: Run) -> bool:
    return bool(st.session_state.get(f"{CHOSEN}{run.id}"))


def clear() -> None:
    """Choose none, those that are not shown among them."""
    for key in st.session_state:
        if str(key).startswith(CHOSEN):
            st.session_state[key] = False
