"""Choices whose plain names stand in the page's address, whatever they are called on the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import streamlit as st

from lab.parts.address import keep_in_address, moved

T = TypeVar("T")


def named_choice(widget: Callable[..., T], label: str, options: Sequence[T], *, key: str, usual: T, **more: Any) -> T:
    """One of `options`, chosen with `widget` (st.selectbox, st.pills, ...): the one that `?key=` names, else `usual`,
    which needs no word there. With accept_new_options, also what is no option.

    Streamlit's own binding writes into the address what options are called (`format_func`), and knows no other word.
    """
    asked, free = st.query_params.get(key), more.get("accept_new_options")
    named: dict[str, Any] = {str(option): option for option in options}
    wanted: Any = usual if asked is None else named.get(asked, asked if free else usual)
    chosen = st.session_state.get(key, wanted)
    if not moved() and (chosen in (usual, *options) or (free and chosen is not None)):
        wanted = chosen
    options = [*options, wanted] if wanted not in (None, *options) else options
    if chosen != wanted:
        st.session_state[key] = wanted
    elif widget == st.selectbox:
        more["index"] = None if wanted is None else list(options).index(wanted)
    else:
        more["default"] = wanted
    value = widget(label, options, key=key, **more)
    keep_in_address(key, [str(value)], usual=value in (None, usual))
    return value
