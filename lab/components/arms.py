"""Arms of a claim side by side: one slider moves all their maps and the cursors on their curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent
HTML = """<div class="arms" tabindex="-1">
<div class="bar">
<button type="button">Play</button><input type="range" step="any" aria-label="step"><output></output>
</div>
<div class="legend" role="group" aria-label="classes"></div>
<div class="maps"></div>
<div class="plots"></div>
</div>"""

_arms = st.components.v2.component(
    "visionarium_arms",
    html=HTML,
    css="\n".join((HERE / name).read_text(encoding="utf-8") for name in ("curves.css", "scrub.css", "arms.css")),
    js="\n".join((HERE / name).read_text(encoding="utf-8") for name in ("curves.js", "arms.js")),
)


def arms(shown: Mapping[str, Any], *, key: str) -> None:
    """shown: see `lab.what_if.shown`. Nothing is asked of the page while the slider moves."""
    _arms(key=key, data=dict(shown))
