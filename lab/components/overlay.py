"""Curves of several runs over one another; pointing at one tells whose it is and its value there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent

_overlay = st.components.v2.component(
    "visionarium_overlay",
    html='<div class="plots"></div>',
    css="\n".join((HERE / name).read_text(encoding="utf-8") for name in ("curves.css", "overlay.css")),
    js="\n".join((HERE / name).read_text(encoding="utf-8") for name in ("curves.js", "overlay.js")),
)


def overlay(figures: Sequence[Mapping[str, Any]], over: str, *, key: str) -> None:
    """figures: "says", the address of their "script", and "lines" with "name", "colour", "dashed", "at", "value" and,
    if smoothed, "mean". over: what the axis counts.
    """
    _overlay(key=key, data={"figures": [dict(one) for one in figures], "over": over})
