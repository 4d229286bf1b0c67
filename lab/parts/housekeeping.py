"""What the runs take on the disk and what may go; runs that come from elsewhere. Folded away on the page of runs."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.best import best_of
from lab.parts.links import link
from lab.parts.titles import title_of
from lab.parts.visitor import refusal
from lab.runs import Run, all_runs
from lab.runs.housekeeping import Use, dependents, thin, use
from lab.share.bring import bring

SHOWN = 10


def housekeeping() -> None:
    """The folded part; nothing is measured before it is opened."""
    part = st.expander("Housekeeping", key="housekeeping", on_change="rerun", icon=":material/inventory_2:")
    if not part.open:
        return
    with part:
        told = st.session_state.pop("housekeeping-told", "")
        if told:
            st.success(told)
        left, right = st.columns([5, 2], gap="large")
        with left:
            largest()
        with right:
            upload()


def largest() -> None:
    """The runs that take most, each with what may be done about it."""
    uses = sorted(((run, use(run.folder)) for run in all_runs()), key=lambda pair: -pair[1].total)
    whole = sum((used for _, used in uses), Use())
    count = "1 run takes" if len(uses) == 1 else f"{len(uses)} runs take"
    st.markdown(f"**{count} {mb(whole.total)}**{': ' * bool(words(whole))}{words(whole)}.")
    for run, used in uses[:SHOWN]:
        with st.container(horizontal=True, wrap=False, vertical_alignment="center", key=f"row-use-{run.id}"):
            link("run", title_of(run.plan), query={"id": run.id}, width=240)
            st.markdown(f":gray[{run.id}]", width="stretch")
            st.markdown(mb(used.total), width=120, help=words(used) or None)
            no, kept = refusal(run.plan) or ("It lives." if run.live else ""), len(run.checkpoints())
            why = no or ("It has one checkpoint." if kept < 2 else "")
            if st.button("Keep the last", key=f"thin-{run.id}", disabled=bool(why), help=why or thinned(run, kept)):
                confirm_thin(run, kept)
            if st.button("Delete", key=f"delete-{run.id}", disabled=bool(no), help=no or None):
                confirm_delete(run)
    if len(uses) > SHOWN:
        st.caption(f"The {SHOWN} largest of {len(uses)}. All of them: visionarium runs disk")


def thinned(run: Run, kept: int) -> str:
    """What keeping only the last checkpoint means."""
    told = best_of(run.folder)
    best = f" and its best, by {told['figure']} at step {told['step']:,}," if told else ""
    return f"Deletes {kept - 1} of its {kept} checkpoints; the newest{best} stay{'' if told else 's'}."


@st.dialog("Keep only the last checkpoint?")
def confirm_thin(run: Run, kept: int) -> None:
    """Ask before checkpoints are thrown away."""
    st.markdown(f"{title_of(run.plan)} :gray[{run.id}]")
    st.markdown(f"{thinned(run, kept)} Curves and pictures stay too.")
    if st.button("Delete the others", type="primary", key="thin-now"):
        try:
            gone = thin(run)
        except (ValueError, OSError) as error:
            st.error(f"{error}.")
            return
        done(f"{len(gone)} checkpoints of run {run.id} are deleted.")


@st.dialog("Delete this run?")
def confirm_delete(run: Run) -> None:
    """Ask before a run is thrown away, and say who needs it."""
    st.markdown(f"{title_of(run.plan)} :gray[{run.id}]")
    warn_of_dependents([run])
    st.markdown("Its curves, pictures and checkpoints are gone for good.")
    if st.button("Delete", type="primary", key="delete-use-now"):
        try:
            run.delete()
        except (ValueError, OSError) as error:
            st.error(f"{error}.")
            return
        done(f"Run {run.id} is deleted.")


def warn_of_dependents(runs: Sequence[Run], besides: str = "") -> None:
    """Say which other runs and sweeps need these. besides: a sweep that goes with them."""
    for id, who in dependents((run.id for run in runs), besides).items():
        st.warning(f"Run {id} is needed: {', '.join(map(str, who))}.", icon=":material/link:")


def upload() -> None:
    """Bring in a run that was taken along as one file."""
    st.markdown("**Bring in a run** that was taken along as one file")
    given = st.file_uploader("A run's file", type="zip", key="run-file", label_visibility="collapsed")
    if given is None:
        st.caption("Larger ones on the command line: visionarium runs import FILE")
        return
    as_copy = st.checkbox("as a copy, under a new id", key="as-copy", help="Where the same run is here already.")
    if st.button("Bring it in", key="bring-in"):
        try:
            run = bring(given, as_copy)
        except (ValueError, OSError) as error:
            st.error(f"{error}.")
            return
        done(f"Run {run.id} is here: {title_of(run.plan)}.")


def done(says: str) -> None:
    """Draw the page again with what was done at its head."""
    st.session_state["housekeeping-told"] = says
    st.rerun()


def mb(size: int) -> str:
    """Bytes as people say them."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB"


def words(used: Use) -> str:
    """What a use is made of; what rounds to nothing is left out."""
    parts = {"checkpoints": used.checkpoints, "pictures": used.media, "log": used.log, "the rest": used.rest}
    return ", ".join(f"{name} {mb(size)}" for name, size in parts.items() if size >= 50_000)
