"""Pictures over time under one slider: the kept steps of a run, or the frames of a film."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

HERE = Path(__file__).parent
HTML = """<div class="scrub">
<div class="bar">
<button type="button">Play</button><input type="range" min="0" aria-label="step"><output></output>
</div>
<div class="stage"></div>
</div>"""

_scrub = st.components.v2.component(
    "visionarium_scrub",
    html=HTML,
    css=(HERE / "scrub.css").read_text(encoding="utf-8"),
    js=(HERE / "scrub.js").read_text(encoding="utf-8"),
)


def scrub(frames: Sequence[tuple[str, Sequence[str]]], *, key: str, pause: int = 350) -> int:
    """Show frames (label, addresses of pictures), the last first; returns the number of the one that is looked at.

    It follows the newest frame until somebody moves the slider. pause: milliseconds between frames when played.
    """
    told = [{"label": label, "pictures": list(pictures)} for label, pictures in frames]
    result = _scrub(key=key, data={"frames": told, "pause": pause}, default={"at": None}, on_at_change=lambda: None)
    at = result["at"]
    return len(frames) - 1 if at is None else min(int(at), len(frames) - 1)
