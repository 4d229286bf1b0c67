"""The lens bench under the hand: the same picture and knobs through two models, answer beside answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from engine.params import Params
from lab.components.live import HERE, SHEETS, described, scripts

HTML = """<div class="bench">
<p class="verdict" role="status"></p>
<div class="controls"><div class="pick" role="listbox" aria-label="which picture"></div><div class="knobs"></div></div>
<div class="sides"></div>
<p class="says" role="status"></p>
</div>"""

_bench = st.components.v2.component(
    "visionarium_bench",
    html=HTML,
    css=SHEETS + (HERE / "bench.css").read_text(encoding="utf-8"),
    js=(HERE / "bench.js").read_text(encoding="utf-8")
    + scripts().replace("export default function (", "function live("),
)


def bench(
    asks: Sequence[Mapping[str, Any]], names: Sequence[str], start: Params, pick: Mapping[str, Any], *,
    comparable: bool, key: str,
) -> tuple[dict[str, Any], int]:  # fmt: skip
    """Show two models' answers; the knobs' values as they were last let go, and the picture that was picked.

    asks: for each model the body of POST /api/lens without lens and knobs. names: what the models are called. pick:
    pictures to pick one from, and "at", the one at first. comparable: whether both know the same classes.
    """
    values = start.model_dump(mode="json")
    knobs = [described(knob, values[knob.name]) for knob in type(start).knobs()]
    data = {"asks": [dict(ask) for ask in asks], "names": list(names), "knobs": knobs, "values": values,
            "pick": dict(pick), "comparable": comparable}  # fmt: skip
    result = _bench(
        key=key, data=data, default={"values": values, "pick": int(pick["at"])}, on_values_change=lambda: None,
        on_pick_change=lambda: None,
    )  # fmt: skip
    return dict(result["values"] or values), int(result["pick"] or 0)
