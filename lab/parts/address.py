"""What a page's address says, against what the visitor just clicked."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

SHOWN = "shown"
"""Where the session keeps what was shown last, as `what` tells it."""


def what() -> tuple[str | None, ...]:
    """What the address is about: the page, and the method, run, sweep or runs on it."""
    context = get_script_run_ctx()
    return (context.page_script_hash if context else "", *(st.query_params.get(name) for name in ("id", "runs")))


def moved() -> bool:
    """Whether the visitor came by a link, or with Back or Forward, and the address says what to open.

    Otherwise a click led here, and what it said counts: the address that comes with it may be late, when clicks follow
    each other more quickly than the browser hears of what was written into its address.
    """
    context = get_script_run_ctx()
    return bool(context and context.is_history_navigation) or st.session_state.get(SHOWN) != what()


def keep_in_address(key: str, told: list[str], *, usual: bool) -> None:
    """Write into the address what was chosen; what is as usual needs no word there."""
    if usual:
        st.query_params.pop(key, None)
    elif st.query_params.get_all(key) != told:
        st.query_params[key] = told


def shown() -> None:
    """Remember, at the end of a page, what it was about."""
    st.session_state[SHOWN] = what()
