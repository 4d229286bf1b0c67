"""The tabs of a page. Which one is open stands in the page's address, and only there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

PART = "part"
"""The name in the address, and the key of the tabs."""


def tabs(parts: Mapping[str, Callable[[], None]]) -> None:
    """Tabs, of which only the open one is drawn: the one that `?part=` names, else the first.

    Streamlit's own binding to the address is not used: on a change of pages it takes away whatever a widget on the page
    before was bound to, and so the part that a link asks for.
    """
    first = next(iter(parts))
    asked = st.query_params.get(PART, first)
    if asked not in parts:
        asked = first
    if st.session_state.get(PART) != asked:
        st.session_state[PART] = asked
    for tab, part in zip(st.tabs(list(parts), on_change=turn, args=(first,), key=PART), parts.values(), strict=True):
        if tab.open:
            with tab:
                part()


def turn(first: str) -> None:
    """Write the tab that was clicked into the address; the first needs no word there."""
    if st.session_state[PART] == first:
        st.query_params.pop(PART, None)
    else:
        st.query_params[PART] = st.session_state[PART]
