"""A row of tabs, of which the page draws only the open one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent

_row = st.components.v2.component(
    "visionarium_tabs",
    html='<div class="tabs" role="tablist" aria-label="parts of this page"></div>',
    css=(HERE / "tabs.css").read_text(encoding="utf-8"),
    js=(HERE / "tabs.js").read_text(encoding="utf-8"),
)


def row(names: Sequence[str], born: str, turn: int, *, key: str) -> str:
    """The tab that is open: the one that was clicked last, at first `born`; anew with every other `turn`.

    The row shows what was clicked, whatever the page still says of clicks before; so a quick click is never taken back.
    """
    clicked = (st.session_state.get(key) or {}).get("clicked") or {}
    open = clicked["name"] if clicked.get("turn") == turn and clicked["name"] in names else born
    data = {"names": list(names), "open": open, "turn": turn}
    _row(key=key, data=data, default={"clicked": None}, on_clicked_change=lambda: None, height="content")
    return open
