"""Things over time under one slider: the frames of a film; or a run's time machine with curves, pictures and a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent
HTML = """<div class="scrub" tabindex="-1">
<div class="bar">
<button type="button">Play</button><input type="range" min="0" aria-label="step"><output></output>
</div>
<div class="plots"></div>
<div class="stage"></div>
</div>"""

_scrub = st.components.v2.component(
    "visionarium_scrub",
    html=HTML,
    css="\n".join((HERE / name).read_text(encoding="utf-8") for name in ("curves.css", "scrub.css")),
    js="\n".join((HERE / name).read_text(encoding="utf-8") for name in ("curves.js", "map.js", "scrub.js")),
)


def scrub(
    frames: Sequence[tuple[str, Sequence[str]]], *, key: str, pause: int = 350, steps: Sequence[int] = (),
    pictures: Sequence[Mapping[str, Any]] = (), curves: Sequence[Mapping[str, Any]] = (),
    map: Mapping[str, Any] | None = None, newest: int = 0,
) -> int:  # fmt: skip
    """Show frames (label, addresses of pictures), the last first; returns the number of the one that is looked at.

    It follows the newest frame until somebody moves the slider; -1 when there is no frame. pause: milliseconds between
    frames when played. steps: where each frame stands on the curves. pictures: "says" and "script" of each picture of a
    frame. curves: "says", "script", and "lines" with "name", "colour", "at", "value" and, if smoothed, "mean". map:
    "url", "thumbnails", "says", "script" (see `lab.timeline`). newest: the last step on the curves,
    where the last frame stands.
    """
    data = {
        "frames": [{"label": label, "pictures": list(addresses)} for label, addresses in frames],
        "pause": pause, "steps": list(steps), "pictures": [dict(one) for one in pictures],
        "curves": [dict(one) for one in curves], "map": dict(map) if map else None, "newest": newest,
    }  # fmt: skip
    result = _scrub(key=key, data=data, default={"at": None}, on_at_change=lambda: None)
    at = result["at"]
    return len(frames) - 1 if at is None else min(int(at), len(frames) - 1)
