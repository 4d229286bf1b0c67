"""Runs as columns, pictures as rows, under one slider over steps; all cells zoom alike, one opens large."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import streamlit as st

HERE = Path(__file__).parent
HTML = """<div class="matrix">
<div class="bar">
<label class="step">step <input type="range" min="0" aria-label="step"><output></output></label>
<label>zoom <input type="range" min="1" max="8" step="0.1" value="1" aria-label="zoom"></label>
<select aria-label="which picture"></select>
</div>
<div class="cells"></div>
<dialog>
<div class="bar">
<strong></strong><button type="button" class="up">Previous</button><button type="button" class="down">Next</button>
<label class="step">step <input type="range" min="0" aria-label="step, enlarged"><output></output></label>
<button type="button" class="swipe" aria-pressed="false">Swipe two</button>
<button type="button" class="close">Close</button>
</div>
<div class="large"></div>
<div class="two" hidden>
<div class="bar"><select aria-label="left"></select><span></span><select aria-label="right"></select></div>
<canvas></canvas>
<input type="range" min="0" max="1" step="0.001" value="0.5" aria-label="swipe">
</div>
</dialog>
</div>"""

_matrix = st.components.v2.component(
    "visionarium_matrix",
    html=HTML,
    css=(HERE / "matrix.css").read_text(encoding="utf-8"),
    js=(HERE / "matrix.js").read_text(encoding="utf-8"),
)


class Shown(TypedDict):
    """A run as the matrix shows it. address: where its tiles are, to be ended by a step. stamps: of its files."""

    label: str
    colour: str
    address: str
    stamps: Mapping[str, str]


def matrix(
    runs: Sequence[Shown], names: Sequence[str], frames: Sequence[tuple[int, Sequence[int]]], start: int | None,
    *, key: str,
) -> int | None:  # fmt: skip
    """Show the matrix; returns the step at which the slider was let go, None while nobody has moved it.

    names: what stands side by side in a cell. frames: steps, each with the step that each run shows there (see
    `lab.runs.compare.aligned`). start: the step that is shown first; None: the last.
    """
    data = {"runs": list(runs), "names": list(names), "frames": frames, "start": start}
    result = _matrix(key=key, data=data, default={"step": None}, on_step_change=lambda: None)
    return None if result["step"] is None else int(result["step"])
