"""The tabs of a page. Which one is open stands in the page's address."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from lab.components.tabs import row
from lab.parts.address import keep_in_address, moved

PART = "part"
"""The name in the address."""
BORN = "part-born"
"""Where the session keeps what the address asked for when it last led here, and how often it did."""


def tabs(parts: Mapping[str, Callable[[], None]]) -> None:
    """Tabs, of which only the open one is drawn: the one that was clicked last, and before any click the one that
    `?part=` names, else the first.

    Streamlit's own tabs are not used: a click that follows another quickly is lost to what the page still says of the
    first; and bound to the address, they take away from links to other pages the part that these ask for.
    """
    first = next(iter(parts))
    asked = st.query_params.get(PART, first)
    born, turn = st.session_state.get(BORN, (asked, 0))
    if moved():
        born, turn = st.session_state[BORN] = asked, turn + 1
    open = row(list(parts), born if born in parts else first, turn, key=PART)
    keep_in_address(PART, [open], usual=open == first)
    with st.container(key=f"part-{list(parts).index(open)}"):
        parts[open]()
