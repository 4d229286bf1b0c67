"""Check first: what a run would need and when it would end, found in the background while the page goes on."""

from __future__ import annotations

import time
from dataclasses import dataclass

import streamlit as st

from engine.params import Params
from engine.preflight import Preflight
from lab.forms import plain
from lab.parts.clone import put
from lab.runs.preflight import Checking, facts, verdict


@dataclass
class Asked:
    """A check of these knobs: under way, or with its answer, or with why there is none."""

    knobs: tuple[Params, Params]
    checking: Checking | None
    found: Preflight | None = None
    at: float = 0.0
    trouble: str = ""


def preflight(id: str, params: Params, setup: Params, key: str, *, asked: bool) -> None:
    """The last check of this method's form, and a new one when it is asked for. key: of the form's widgets."""
    place = f"preflight-{id}"
    if asked:
        stop(place)
        try:
            st.session_state[place] = Asked((params, setup), Checking(id, params, setup))
        except OSError as error:
            st.error(f"{error}.")
    last: Asked | None = st.session_state.get(place)
    if last is None:
        return
    with st.container(key=f"{place}-answer"):
        if last.checking is not None:
            st.fragment(under_way, run_every=0.5)(place)
        elif last.trouble:
            st.error(f"{last.trouble[0].upper()}{last.trouble[1:]}.")
        elif last.found is not None:
            answer(last.found, last.at, key)
            if last.knobs != (params, setup):
                st.caption("The knobs have been changed since this check.")


def under_way(place: str) -> None:
    """Say how long it has been at it, until the answer is there."""
    last: Asked = st.session_state[place]
    if last.checking is None:
        return
    try:
        last.found, last.at = last.checking.answer(), time.time()
    except ValueError as error:
        last.trouble = str(error)
    if last.found is not None or last.trouble:
        last.checking = None
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f":gray[Doing a few real steps, for {last.checking.seconds:.0f} s now.]")
        if st.button("Stop", key=f"stop-{place}"):
            stop(place)
            st.rerun()


def stop(place: str) -> None:
    """End the check that is under way, if there is one, and forget the last."""
    last: Asked | None = st.session_state.pop(place, None)
    if last is not None and last.checking is not None:
        last.checking.stop()


def answer(found: Preflight, at: float, key: str) -> None:
    """What was found. at: when, in seconds since the epoch. key: of the form, whose knobs may be set from here."""
    if found.ok:
        st.markdown(f":green[{sentence(verdict(found))}]")
    else:
        st.error("\n\n".join(sentence(problem) for problem in found.problems), title=sentence(verdict(found)))
        for name, value in found.instead.items():
            st.button(f"Set {name.replace('_', ' ')} to {plain(value)}", on_click=put, args=(f"{key}.{name}", value))
    if rows := facts(found, at):
        lines = [f"| {name} | {says} |" for name, says in rows.items()]
        st.markdown("\n".join(["| | |", "| --- | --- |", *lines]))
    for remark in found.remarks:
        st.caption(sentence(remark))


def sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."
