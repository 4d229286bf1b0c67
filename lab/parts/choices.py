"""Choices whose plain names stand in the page's address, whatever they are called on the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import streamlit as st

T = TypeVar("T")


def named_choice(widget: Callable[..., T], label: str, options: Sequence[T], *, key: str, usual: T, **more: Any) -> T:
    """One of `options`, chosen with `widget` (st.selectbox, st.pills, ...): the one that `?key=` names, else `usual`,
    which needs no word there. With accept_new_options, also what is no option.

    Streamlit's own binding writes into the address what options are called (`format_func`), and knows no other word.
    """
    asked = st.query_params.get(key)
    named: dict[str, Any] = {str(option): option for option in options}
    wanted: Any = usual if asked is None else named.get(asked, asked if more.get("accept_new_options") else usual)
    options = [*options, wanted] if wanted not in (None, *options) else options
    if st.session_state.get(key, wanted) != wanted:  # the address has changed under the page
        st.session_state[key] = wanted
    elif widget == st.selectbox:
        more["index"] = None if wanted is None else list(options).index(wanted)
    else:
        more["default"] = wanted
    return widget(label, options, key=key, on_change=keep, args=(key, usual), **more)


def keep(key: str, usual: Any) -> None:
    """Write what was chosen into the address."""
    chosen = st.session_state[key]
    if chosen in (None, usual):
        st.query_params.pop(key, None)
    else:
        st.query_params[key] = str(chosen)
