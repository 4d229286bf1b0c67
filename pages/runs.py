"""All runs: how they stand, and what to do with them."""

import streamlit as st

from engine.catalog import card
from lab.parts.links import PAGES, link
from lab.parts.progress import COLOURS, ago
from lab.runs import Run, all_runs
from lab.runs.compare import CHOSEN, FEWEST
from lab.runs.state import LIVE

SHOWN = 15

st.title("Runs", anchor=False)


@st.dialog("Delete these runs?")
def confirm(chosen: list[Run]) -> None:
    """Ask before anything is thrown away."""
    for run in chosen:
        st.markdown(f"{run.plan.name or card(run.plan.method).title} :gray[{run.id}, {ago(run.plan.created)}]")
    st.markdown("Their curves, pictures and checkpoints are gone for good.")
    if st.button("Delete", type="primary", key="delete-now"):
        for run in chosen:
            try:
                run.delete()
            except (ValueError, OSError) as error:
                st.error(f"{error}.")
                return
        st.rerun()


def row(run: Run) -> None:
    """A run in a line."""
    state, told = run.state, run.told
    step, steps = told.get("step") or 0, told.get("steps") or 0
    with st.container(horizontal=True, vertical_alignment="center", key=f"row-{run.id}"):
        st.checkbox("choose", key=f"chosen-{run.id}", label_visibility="collapsed", width="content")
        st.badge(state, color=COLOURS[state], width=104)
        title = run.plan.name or card(run.plan.method).title
        link("run", title, query={"id": run.id}, width=300)
        st.markdown(f":gray[{run.plan.method}]", width=260)
        st.markdown(f"{step:,} of {steps:,} steps" if steps else "", width=220)
        st.markdown(f":gray[{ago(run.plan.created)}]", width=150)
    if run.cause:
        st.caption(f":red[{run.cause}] {run.hint}")


def table(was_live: bool) -> None:
    """The list, drawn again each second while something lives."""
    there = all_runs()
    live = [run for run in there if run.state in LIVE]
    if was_live and not live:
        st.rerun()
    if not there:
        st.markdown("No runs yet. Start one from the Train tab of a method, or on the command line:")
        st.code("visionarium train representation.mae --preset demo", language="bash")
        return
    pages = -(-len(there) // SHOWN)
    at = st.session_state.get("runs-page", 1) if pages > 1 else 1
    for run in there[(at - 1) * SHOWN : at * SHOWN]:
        row(run)
    if pages > 1:
        st.pagination(pages, key="runs-page")
    chosen = [run for run in there if st.session_state.get(f"chosen-{run.id}")]
    with st.container(horizontal=True, key="verbs"):
        ended = [run for run in chosen if run.state not in LIVE]
        if st.button("Cancel", disabled=not any(run.state in LIVE for run in chosen)):
            act(run.cancel for run in chosen if run.state in LIVE)
        if st.button(
            "Resume", disabled=not any(run.state in ("paused", "cancelled", "failed", "lost") for run in chosen)
        ):
            act(run.resume for run in chosen if run.state in ("paused", "cancelled", "failed", "lost"))
        if st.button("Delete", disabled=not ended or len(ended) < len(chosen)):
            confirm(ended)
        few = FEWEST <= len(chosen) <= CHOSEN
        if st.button("Compare", disabled=not few, help=f"Choose {FEWEST} to {CHOSEN} runs."):
            st.switch_page(PAGES / "compare.py", query_params={"runs": ",".join(run.id for run in chosen)})


def act(verbs) -> None:
    """Do what was asked of each run; what cannot be done is said."""
    for verb in verbs:
        try:
            verb()
        except (ValueError, OSError) as error:
            st.error(f"{error}.")


some_live = any(run.state in LIVE for run in all_runs())
st.fragment(table, run_every=1.5 if some_live else None)(some_live)
