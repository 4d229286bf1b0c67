"""The tabs of a page. Which one is open stands in the page's address, and only there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

PART = "part"
"""The name in the address."""
TURNS, BORN = "part-turns", "part-born"
"""How often this session's address has turned to another tab than the one that was clicked last; and which was open
when the tabs came."""


def tabs(parts: Mapping[str, Callable[[], None]]) -> None:
    """Tabs, of which only the open one is drawn: the one that `?part=` names, else the first.

    Streamlit's own binding to the address is not used: on a change of pages it takes away whatever a widget on the page
    before was bound to, and so the part that a link asks for. Where the address and the last click differ, new tabs
    take the place of the old: the browser might not hear that the old ones turn, when it was just being told otherwise.
    """
    first = next(iter(parts))
    asked = st.query_params.get(PART, first)
    if asked not in parts:
        asked = first
    turns = st.session_state.setdefault(TURNS, 0)
    if st.session_state.get(f"{PART}-{turns}", asked) != asked:
        turns = st.session_state[TURNS] = turns + 1
    key = f"{PART}-{turns}"
    if key not in st.session_state:
        st.session_state[BORN] = asked  # and it stays: with another default they were other tabs, deaf to a quick click
    shown = st.tabs(list(parts), default=st.session_state[BORN], on_change=turn, args=(key, first), key=key)
    for tab, part in zip(shown, parts.values(), strict=True):
        if tab.open:
            with tab:
                part()


def turn(key: str, first: str) -> None:
    """Write the tab that was clicked into the address; the first needs no word there."""
    if st.session_state[key] != first:
        st.query_params[PART] = st.session_state[key]
        return
    if PART not in st.query_params:  # the browser may just be hearing of a tab that was clicked before: tell it again
        st.query_params[PART] = first
    del st.query_params[PART]
