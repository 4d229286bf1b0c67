"""Training a method: the form, the command that does the same, Start, and the run as it goes."""

from __future__ import annotations

from typing import Any

import streamlit as st

from engine.catalog import Card, method
from engine.flags import command
from engine.method import Curves
from engine.params import Params, Preset
from engine.record import media, read_values, rows
from engine.showcase import folder
from lab import runs, warm
from lab.forms import form
from lab.parts import clone
from lab.parts.exhibit import show
from lab.parts.links import link
from lab.parts.play import wait_for
from lab.parts.preflight import preflight
from lab.parts.progress import curves_of, progress, show_curves
from lab.parts.visitor import visitor


def train(card: Card) -> None:
    """The form; below it the shipped demo's course, or above it the run that was started here."""
    mine = st.session_state.get(f"started-{card.id}")
    if mine is not None:
        link("run", "Open this run", query={"id": mine}, icon=":material/arrow_forward:")
        progress(mine)
        st.subheader("Train again", anchor=False)
    if warm.is_warm():
        start_form(card)
    else:
        wait_for("")
    if mine is None:
        course(card.id)


@st.fragment
def start_form(card: Card) -> None:
    """Knobs, a preset or a run to begin with, a check, and Start. The run is started once; the page then shows it."""
    from engine.bench import Setup

    found = method(card.id)
    source = clone.source(found)
    left, right = st.columns([3, 2], gap="large")
    with left:
        preset: Preset = "demo"
        if source is not None:
            clone.header(source)
            start, start_setup, keys = source.start, source.setup, (source.key, f"setup-{source.key}")
        else:
            preset = chosen_preset(card.id)
            start, start_setup = found.params.make({}, preset), Setup()
            keys = (f"{card.id}-{preset}", f"setup-{card.id}")
        params = form(found.params, start, keys[0], sources=sources())
    with right:
        name = st.text_input("Name of the run", key=f"name-{card.id}", placeholder="optional")
        with st.expander("How it is carried out"):
            setup = form(Setup, start_setup, keys[1], columns=1)
        if params is not None and setup is not None:
            if source is not None:
                clone.show_changes(source, params, setup, keys)
            st.markdown("The same as a command:")
            line = clone.command(source, params, setup) if source else command(card.id, params, setup, preset)
            st.code(line, language="bash", wrap_lines=True)
        ready = params is not None and setup is not None
        with st.container(horizontal=True):
            begun = st.button("Start training", type="primary", width="stretch", disabled=not ready)
            check_first = st.button(
                "Check first", width="stretch", disabled=not ready, key=f"check-{card.id}",
                help="A few real steps in the background: the memory they take, their pace, and what would go wrong.",
            )  # fmt: skip
        if params is None or setup is None:
            return
        if begun:
            begin(card.id, params, setup, name, source.run.id if source else "")
        preflight(card.id, params, setup, keys[0], asked=check_first)


def chosen_preset(id: str) -> Preset:
    presets: list[Preset] = ["demo", "paper", "tiny"]
    return st.segmented_control(
        "Preset", presets, default="demo", required=True, key=f"preset-{id}",
        help="Demo: minutes on two cores. Paper: the published setting. Tiny: a few steps, to see that it runs.",
    )  # fmt: skip


def begin(id: str, params: Params, setup: Params, name: str, cloned_from: str) -> None:
    """Start the run, or say why not."""
    try:
        run = runs.start(id, params, setup, name, visitor=visitor(), cloned_from=cloned_from)
    except (ValueError, OSError) as error:
        st.error(f"{error}.")
        return
    st.session_state[f"started-{id}"] = run.id
    st.rerun()


def sources() -> list[str]:
    """Names that the knob `data` is offered."""
    from engine.data import list_data

    return [source.spec for source in list_data() if not any(word.isupper() for word in source.spec.split(":"))]


def course(id: str) -> None:
    """What the demo that ships did while it was trained."""
    kept, exhibits = folder(id) / "training", warm.exhibits(id)
    if not kept.exists():
        return
    st.subheader("The demo's course", anchor=False)
    st.markdown("What the shipped demo showed while it was trained. :gray-badge[stored]")
    values: dict[str, Any] = {}
    for _, path in media(kept):
        values |= read_values(path)[0]
    values |= curves_of(rows(kept), exhibits)
    show_curves(exhibits, values, f"course-{id}")
    show([exhibit for exhibit in exhibits if not isinstance(exhibit, Curves)], values, f"course-{id}")
