"""A cloud of points, each a picture: zoomed, pointed at, coloured, isolated, and selected by a loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import streamlit as st

HERE = Path(__file__).parent
HTML = """<div class="cloud" tabindex="-1">
<div class="whole-thing">
<div>
<div class="bar">
<button type="button" class="tool" aria-pressed="false" title="Draw a loop around points">Lasso<kbd>L</kbd></button>
<button type="button" class="clear" title="Select nothing">Clear<kbd>Esc</kbd></button>
<button type="button" class="whole" title="Show the whole map">Whole<kbd>0</kbd></button>
<span class="badge" hidden></span>
<span class="status" role="status"></span><button type="button" class="stop" hidden>Stop</button>
</div>
<div class="field">
<canvas class="points"></canvas><canvas class="over" role="img" aria-label="map of pictures"></canvas>
<p class="hint">Drag to move, wheel to zoom, Shift and drag to select.</p>
</div>
<div class="foot">
<div class="morph" hidden>
<button type="button">Play</button>
<input type="range" min="0" step="0.01" aria-label="from map to map"><output></output>
</div>
<span class="links"><a class="csv" download>Selection as CSV</a><a class="script" download>Script</a></span>
</div>
</div>
<div class="side">
<label>Colour by <select aria-label="colour by"></select></label>
<div class="legend"></div>
<div class="card" hidden></div>
<div class="rest"><div class="measures"></div></div>
</div>
</div>
<div class="selection" hidden>
<header><span class="count" role="status"></span><span class="bars"></span></header>
<div class="tiles"></div>
<div class="pager" hidden></div>
</div>
</div>"""
FILES = ("cloud_plot.js", "cloud_load.js", "cloud_side.js", "cloud_hand.js", "cloud.js")

_cloud = st.components.v2.component(
    "visionarium_cloud",
    html=HTML,
    css=(HERE / "cloud.css").read_text(encoding="utf-8"),
    js="\n".join((HERE / name).read_text(encoding="utf-8") for name in FILES),
)


@dataclass(frozen=True)
class View:
    """How somebody looks at a map, as an address keeps it. colour: the column; "": the first. only: one of its classes,
    alone. loops: what is selected (see `lab.atlas.looks.polygons`). at: between which maps."""

    colour: str = ""
    only: int | None = None
    loops: str = ""
    at: float = 0.0


def cloud(
    atlases: Sequence[str], map: str, knobs: Mapping[str, Any], start: View, *, clusters: int, key: str,
    moments: Sequence[str] = (), course: bool = False,
) -> View:  # fmt: skip
    """Show maps of the same pictures; returns how it is looked at, as it was last let go.

    atlases: ids (see `lab.atlas`). map, knobs: how they are made. start: the view at first. clusters: how many.
    moments: what the slider says at each map. course: the only atlas has a map for each moment.
    """
    asked = {"atlases": [{"id": id} for id in atlases], "map": map, "knobs": {k: str(v) for k, v in knobs.items()},
             "clusters": clusters, "course": course}  # fmt: skip
    data = asked | {"key": repr(asked), "moments": list(moments), "start": asdict(start)}
    result = _cloud(key=key, data=data, default={"view": None}, on_view_change=lambda: None)
    return View(**result["view"]) if result["view"] else start
