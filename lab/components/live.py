"""A lens under the hand: its knobs as sliders, its answer following while they are dragged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from engine.params import Knob, Params
from lab.forms import SLIDES, fine_step, ladder, plain, sentence
from lab.own import palette

HERE = Path(__file__).parent
HTML = """<div class="live">
<div>
<div class="pick" role="listbox" aria-label="which picture"></div>
<div class="act"><button type="button" class="go" hidden>Look</button><p class="says" role="status"></p></div>
<div class="knobs"></div>
</div>
<div>
<div class="takes" role="group" aria-label="takes" hidden></div>
<div class="reel" hidden>
<button type="button">Play</button><input type="range" min="0" aria-label="moment"><output></output>
<button type="button" title="Begin from this moment's canvas, with the knobs as they are now." hidden>Go on</button>
<span class="film"><button type="button" title="These moments as an animation.">Film</button>
<select aria-label="kind of film"><option value="webp">WebP</option><option value="gif">GIF</option></select></span>
</div>
<div class="stages"><section><div class="stage"></div></section></div>
</div>
</div>"""

SCRIPTS = ("live.js", "reel.js", "ahead.js", "fields.js", "light.js")
SHEETS = "".join((HERE / name).read_text(encoding="utf-8") for name in ("live.css", "light.css"))


def scripts() -> str:
    """What draws lenses and their knobs in the browser."""
    return "\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)


_live = st.components.v2.component(
    "visionarium_live",
    html=HTML,
    css=SHEETS,
    js=scripts(),
)


def live(
    asks: Mapping[str, Mapping[str, Any]], start: Params, *, long: bool = False, goes_on: bool = False,
    pick: Mapping[str, Any] | None = None, replays: str = "", stored: Sequence[Mapping[str, Any]] = (), key: str,
) -> tuple[dict[str, Any], int]:  # fmt: skip
    """Show a lens; its knobs' values as they were last let go, and the picture that was picked.

    asks: the name of each model whose answer is shown, two at most, and the body of POST /api/lens without its knobs.
    start: the values at first. long, goes_on, replays: see `Lens`. pick: pictures to pick one from (see
    `lab.figures.tiles`) and "at", the one at first. stored: exhibits to show until the first answer (see
    `lab.figures.portable`).
    """
    knobs = sorted(type(start).knobs(), key=lambda knob: not (knob.picture or knob.brush))
    values = start.model_dump(mode="json")
    data = {"asks": [dict(ask) for ask in asks.values()], "names": list(asks), "values": values,
            "knobs": [described(knob, values[knob.name]) for knob in knobs], "stored": list(stored), "long": long,
            "goesOn": goes_on, "replays": replays, "pick": dict(pick) if pick else None}  # fmt: skip
    at = int(pick["at"]) if pick else 0
    result = _live(
        key=key, data=data, default={"values": values, "pick": at}, on_values_change=lambda: None,
        on_pick_change=lambda: None,
    )  # fmt: skip
    return dict(result["values"] or values), int(result["pick"] or 0)


def described(knob: Knob, value: Any) -> dict[str, Any]:
    """A knob as the browser builds it: a slider where it has a range, steps of a scale where it moves by factors."""
    told: dict[str, Any] = {
        "name": knob.name, "kind": knob.kind, "label": knob.name.replace("_", " "), "help": helped(knob),
        "unit": knob.unit, "choices": knob.choices, "low": knob.low, "high": knob.high, "fold": knob.fold,
        "brush": knob.brush,
    }  # fmt: skip
    if knob.picture:
        told["sheet"] = palette()
    whole = knob.kind == "int"
    if knob.kind == "choice":
        told["options"] = list(knob.choices)
    elif knob.kind in ("int", "float") and knob.log and knob.low is not None and knob.high is not None:
        told |= {"options": ladder(knob.low, knob.high, (value, knob.default), whole=whole), "scale": True}
    elif knob.kind in ("int", "float"):
        told["step"] = 1 if whole else fine_step(knob, value)
        if whole and knob.low is not None and knob.high is not None and knob.high - knob.low > SLIDES:
            told["low"] = None
    return told


def helped(knob: Knob) -> str:
    """What a knob does, and the paper's value where it is another."""
    told = sentence(knob.help)
    return told if knob.paper in (None, knob.default) else f"{told} Paper: {plain(knob.paper)}."
