"""Knobs to widgets: the closed vocabulary of `engine.params` as a form, its problems said at the field."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import streamlit as st

from engine.params import Knob, KnobError, Params

P = TypeVar("P", bound=Params)

SEGMENTS, SLIDES = 4, 300
"""Choices that stand side by side; whole numbers that a slider tells apart."""


def form(
    params: type[P], start: Params, key: str, *, columns: int = 2, sources: Sequence[str] = (), bind: bool = False
) -> P | None:
    """Widgets for all knobs, filled from `start`; the params, or None while something is wrong (said at the field).

    Folded knobs stand under "All settings". sources: names offered for the knob `data`. bind: keep the values in the
    page's address, under "<key>.<knob>".
    """
    slots: dict[str, Any] = {}
    values: dict[str, Any] = {}
    knobs = params.knobs()

    def place(some: Iterable[Knob]) -> None:
        grid = st.columns(columns)
        for i, knob in enumerate(some):
            with grid[i % columns]:
                offered = sources if knob.name == "data" else ()
                values[knob.name] = widget(knob, getattr(start, knob.name), f"{key}.{knob.name}", offered, bind)
                slots[knob.name] = st.empty()

    place(knob for knob in knobs if not knob.fold)
    if any(knob.fold for knob in knobs):
        with st.expander("All settings"):
            place(knob for knob in knobs if knob.fold)
    try:
        return params.make(values)
    except KnobError as error:
        for name, says in error.problems:
            slots.get(name, st).error(f"{says[0].upper()}{says[1:]}.")
        return None


def label(knob: Knob) -> str:
    """What stands above a widget: the knob's name, its unit, and the paper's value where it is another."""
    says = knob.name.replace("_", " ")
    says += f" :gray[{knob.unit}]" if knob.unit not in ("", knob.name) else ""
    if knob.paper is not None and knob.paper != knob.default:
        says += f" :gray[· paper {plain(knob.paper)}]"
    return says


def plain(value: Any) -> str:
    """A knob's value in a few characters."""
    if isinstance(value, (tuple, list)):
        return ", ".join(value)
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def widget(knob: Knob, value: Any, key: str, sources: Sequence[str] = (), bind: bool = False) -> Any:
    """One knob's widget; its value now, of the knob's type. `value` is what it shows first."""
    common: dict[str, Any] = {"key": key, "help": sentence(knob.help), "bind": "query-params" if bind else None}
    match knob.kind:
        case "bool":
            return st.toggle(label(knob), value, **common)
        case "choice":
            options = list(knob.choices)
            if len(options) <= SEGMENTS and sum(map(len, options)) <= 32:
                return st.segmented_control(label(knob), options, default=value, required=True, **common)
            return st.selectbox(label(knob), options, options.index(value), **common)
        case "choices":
            return tuple(st.pills(label(knob), list(knob.choices), selection_mode="multi", default=value, **common))
        case "text":
            if sources:
                options = list(dict.fromkeys([*sources, value]))
                return st.selectbox(label(knob), options, options.index(value), accept_new_options=True, **common)
            return st.text_input(label(knob), value, **common)
    return number(knob, value, common)


def number(knob: Knob, value: float, common: dict[str, Any]) -> float:
    """A number's widget: steps by factors where the knob says so, a slider where it can be told apart, else a field."""
    kind: Callable[[Any], Any] = int if knob.kind == "int" else float
    low, high = (None if end is None else kind(end) for end in (knob.low, knob.high))
    if knob.log and low is not None and high is not None:
        set_by_code = st.session_state.get(common["key"])
        options = ladder(low, high, (value, knob.default, knob.paper, set_by_code), whole=knob.kind == "int")
        return kind(st.select_slider(label(knob), options, value, format_func=lambda x: f"{x:g}", **common))
    step = 1 if knob.kind == "int" else fine_step(knob, value)
    if low is not None and high is not None and (high - low) / step <= (SLIDES if knob.kind == "int" else 2000):
        shown = None if knob.kind == "int" else f"%.{decimals(step)}f"
        return kind(st.slider(label(knob), low, high, kind(value), step, format=shown, **common))
    shown = "%d" if knob.kind == "int" else "%g"
    return kind(st.number_input(label(knob), low, high, kind(value), step, format=shown, **common))


def ladder(low: float, high: float, extra: Iterable[float | None], *, whole: bool) -> list[float]:
    """Values from low to high in even factors: powers of two for whole numbers, 1 1.5 2 3 5 7 a decade for others."""
    if whole:
        steps = [2**i for i in range(64) if low <= 2**i <= high]
    else:
        if low <= 0:
            raise ValueError(f"low: {low} cannot begin a scale of factors; give the knob a range above 0")
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = [float(f"{digit}e{decade}") for decade in decades for digit in (1, 1.5, 2, 3, 5, 7)]
    kept = {*steps, low, high, *(value for value in extra if value is not None)}
    return sorted(value for value in kept if low <= value <= high)


def fine_step(knob: Knob, value: float) -> float:
    """A step that reaches the default, the paper's value and `value`, and divides the range into a hundred or more."""
    width = 1.0 if knob.low is None or knob.high is None else knob.high - knob.low
    places = max(decimals(number) for number in (knob.default, knob.paper or 0.0, value))
    return float(min(10.0 ** math.floor(math.log10(width / 100)), 10.0**-places))


def decimals(number: float) -> int:
    """Digits after the point that are needed to write `number`."""
    text = f"{number:.6f}".rstrip("0")
    return len(text.partition(".")[2])


def sentence(text: str) -> str:
    """A help text as a sentence."""
    return f"{text[0].upper()}{text[1:]}." if text and not text.endswith(".") else text
