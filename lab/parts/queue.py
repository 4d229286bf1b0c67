"""The runs that wait, line by line in the order in which they will start, and what one may do with each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby

import streamlit as st

from lab.parts.links import link
from lab.parts.selection import box
from lab.parts.titles import title_of
from lab.parts.visitor import may_change_all, refusal
from lab.runs import Run
from lab.runs.queue import Waiting

SHOWN = 10
DEVICES = {"cpu": "the processor", "cuda": "a GPU", "mps": "the Apple GPU"}
WAITS = {"now": "goes first", "beside": "starts at once", "hold": "held"}


def show_queue(waiting: Sequence[Waiting]) -> None:
    """All lines, each a page at a time. waiting: as `lab.runs.queue.queue` gives them."""
    for name, those in groupby(waiting, lambda one: one.line):
        line = list(those)
        held = sum(one.position is None for one in line)
        with st.container(key=f"line-{name}", gap="xsmall"):
            st.markdown(
                f"**Waiting for {DEVICES.get(name, name)}** :gray[{len(line)} run{'s' if len(line) > 1 else ''}"
                f"{f', {held} of them held' if held else ''}]"
            )
            pages = -(-len(line) // SHOWN)
            at = min(st.session_state.get(f"queue-page-{name}", 1), pages)
            several = len({one.ticket.visitor for one in line}) > 1
            for one in line[(at - 1) * SHOWN : at * SHOWN]:
                row(one, several)
            if pages > 1:
                st.pagination(pages, key=f"queue-page-{name}")


def row(one: Waiting, several: bool) -> None:
    """A waiting run in a line. several: more than one visitor waits, so say whose it is."""
    run, wants = Run(one.folder), one.ticket.wants
    with st.container(horizontal=True, vertical_alignment="center", key=f"row-{run.id}"):
        box(run)
        st.markdown(f"**{one.position}**" if one.position else "", width=104)
        link("run", title_of(run.plan), query={"id": run.id}, width=300)
        st.markdown(f":gray[{run.plan.method}]", width=260)
        if ending := run.ending:
            st.markdown(f":orange[{ending}]", width="content")
            return
        with st.container(horizontal=True, width=220):
            if wants in WAITS:
                st.badge(WAITS[wants], color="orange" if wants == "hold" else "blue")
            st.markdown(f":gray[{one.ticket.visitor}]" if several else "", width="content")
        no = bool(refusal(run.plan))
        stays = no or wants == "hold"
        sign(run, "arrow_upward", "Up: one place earlier", lambda: run.move("up"), stays or one.first)
        sign(run, "arrow_downward", "Down: one place later", lambda: run.move("down"), stays or one.last)
        sign(run, "vertical_align_top", "Next: before all others", lambda: run.move("next"), stays or one.first)
        if wants == "turn":
            sign(run, "front_hand", "Hold: keep it from starting", run.hold, no)
        else:
            sign(run, "undo", "Release: let it wait for its turn", run.release, no)
        if may_change_all() and sign(run, "play_arrow", "Run now: before all others, whoever's turn it is"):
            start_now(run)


def sign(run: Run, icon: str, says: str, act: Callable[[], None] | None = None, disabled: bool = False) -> bool:
    """A verb as a sign."""
    return st.button(
        "", icon=f":material/{icon}:", help=says, key=f"{icon}-{run.id}", type="tertiary", disabled=disabled,
        on_click=partial(attempt, act) if act else None,
    )  # fmt: skip


def attempt(act: Callable[[], None]) -> None:
    """Do it, before the list is drawn anew; what cannot be done is said."""
    try:
        act()
    except (ValueError, OSError) as error:
        st.toast(f"{error}.", icon=":material/error:")


@st.dialog("Run now")
def start_now(run: Run) -> None:
    """Ask how much hurry there is."""
    st.markdown(f"**{title_of(run.plan)}** goes before all others, whoever's turn it is.")
    with st.container(horizontal=True):
        free = st.button(
            "When the device is free", type="primary", key="now-free", on_click=partial(attempt, run.now)
        )  # fmt: skip
        beside = st.button(
            "At once, beside what runs", key="now-beside", on_click=partial(attempt, partial(run.now, beside=True))
        )
    st.caption("Beside what runs, both share the device: its memory must hold both, and each is slower.")
    if free or beside:
        st.rerun()
