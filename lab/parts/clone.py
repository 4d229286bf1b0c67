"""Cloning a run: its knobs as the form's start, and what has been changed since, line by line.

/method?id=...&part=Train&clone=<run>&with.lr=0.01
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from engine.flags import changed
from engine.method import Method
from engine.params import Knob, KnobError, Params
from lab.forms import plain
from lab.parts.links import link
from lab.runs import Run, find

WITH = "with."
"""What stands before a knob's name in the address."""


@dataclass(frozen=True)
class Source:
    """The run that is cloned. params, setup: what it was asked; start: the form at first; key: of its widgets."""

    run: Run
    params: Params
    setup: Params
    start: Params
    key: str

    @property
    def title(self) -> str:
        return self.run.plan.name or self.run.id


def clone_link(run: Run, label: str = "Clone", changes: Mapping[str, Any] | None = None) -> None:
    """A link to the form with the run's knobs, some of them changed."""
    query = {"id": run.plan.method, "part": "Train", "clone": run.id}
    query |= {f"{WITH}{name}": str(value) for name, value in (changes or {}).items()}
    link("method", label, query=query, icon=":material/content_copy:")


def descent(run: Run) -> None:
    """Where a run comes from, and the way to a clone of it."""
    if run.plan.cloned_from:
        link("run", "Cloned from another run", query={"id": run.plan.cloned_from}, icon=":material/history:")
    clone_link(run)


def source(method: Method) -> Source | None:
    """The run that the page's address asks to clone; None without one, or when it cannot be, which is said."""
    id = st.query_params.get("clone", "")
    if not id:
        return None
    try:
        run = find(id)
        return of(run, method, changes_in_address(method.params.knobs()))
    except ValueError as error:
        st.error(f"{error}.")
        return None


def of(run: Run, method: Method, changes: Mapping[str, Any]) -> Source:
    """How to clone `run`. ValueError when its knobs or the changes cannot be in this version of the method."""
    from engine.bench import Setup
    from engine.catalog import method as by_name

    if by_name(run.plan.method) is not method:
        raise ValueError(f"run {run.id} trains {run.plan.method}; clone it from that method's page")
    params, setup = asked(run, method.params), Setup.make(run.plan.setup)
    key = "-".join(["clone", run.id, *(f"{name}={value}" for name, value in changes.items())])
    return Source(run, params, setup, method.params.make(params.model_dump() | dict(changes)), key)


def asked(run: Run, params: type[Params]) -> Params:
    """The knobs of a run. ValueError when this version of the method takes others."""
    try:
        return params.make(run.plan.values)
    except KnobError as error:
        raise ValueError(
            f"run {run.id} cannot be cloned: this version of the method has other knobs: {error}"
        ) from None


def changes_in_address(knobs: tuple[Knob, ...]) -> dict[str, Any]:
    """The values that stand under "with.<knob>"."""
    found: dict[str, Any] = {}
    for knob in knobs:
        if given := st.query_params.get_all(f"{WITH}{knob.name}"):
            found[knob.name] = given if knob.kind == "choices" else given[-1]
    return found


def header(source: Source) -> None:
    """What is cloned, and the way to the presets."""
    with st.container(horizontal=True, vertical_alignment="center"):
        link("run", f"Cloned from {source.title}", query={"id": source.run.id}, icon=":material/history:")
        st.button("Presets instead", type="tertiary", on_click=forget)


def forget() -> None:
    """Take the clone out of the address."""
    for name in [name for name in st.query_params if name == "clone" or name.startswith(WITH)]:
        del st.query_params[name]


def differing(before: Params, now: Params) -> list[tuple[str, Any, Any]]:
    """(knob, value before, value now) of each knob that differs, in the order of declaration."""
    return [(name, old, getattr(now, name)) for name, old in before if getattr(now, name) != old]


def show_changes(source: Source, params: Params, setup: Params, keys: tuple[str, str]) -> None:
    """What differs from the run, each with a button that takes it back. keys: of the two forms' widgets."""
    pairs = ((source.params, params, keys[0]), (source.setup, setup, keys[1]))
    rows = [(f"{key}.{row[0]}", *row) for before, now, key in pairs for row in differing(before, now)]
    if not rows:
        st.markdown(":gray[Nothing is changed yet: this would be the same run again.]")
        return
    st.markdown(f"**{len(rows)} change{'s' if len(rows) > 1 else ''}**")
    with st.container(gap="xsmall", key="changes"):
        for key, name, old, new in rows:
            with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
                shown = f"{name.replace('_', ' ')} &nbsp; :gray[{plain(old)} →] **{plain(new)}**"
                st.markdown(shown, width="content")
                st.button(
                    "", icon=":material/undo:", help=f"Back to {plain(old)}", key=f"undo-{key}", type="tertiary",
                    on_click=put, args=(key, old),
                )  # fmt: skip


def command(source: Source, params: Params, setup: Params) -> str:
    """The command line that starts this clone."""
    words = ["visionarium", "train", "--from", source.run.id]
    return shlex.join([*words, *changed(params, source.params), *changed(setup, source.setup)])


def put(key: str, value: Any) -> None:
    """Set a widget's value, before the page is drawn again."""
    st.session_state[key] = list(value) if isinstance(value, tuple) else value
