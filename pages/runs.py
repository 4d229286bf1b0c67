"""All runs: which wait and in what order, how the others stand, and what to do with them."""

from collections.abc import Callable, Iterable

import streamlit as st

from engine.folder import State
from lab.parts.housekeeping import housekeeping, warn_of_dependents
from lab.parts.links import PAGES, link
from lab.parts.progress import COLOURS, ago
from lab.parts.queue import show_queue, title_of
from lab.runs import LIVE, Run, all_runs
from lab.runs.compare import CHOSEN, FEWEST
from lab.runs.queue import queue
from lab.runs.run import RESUMABLE, resume

SHOWN = 15

st.title("Runs", anchor=False)


@st.dialog("Delete these runs?")
def confirm(chosen: list[Run]) -> None:
    """Ask before anything is thrown away."""
    for run in chosen:
        st.markdown(f"{title_of(run)} :gray[{run.id}, {ago(run.plan.created)}]")
    warn_of_dependents(chosen)
    st.markdown("Their curves, pictures and checkpoints are gone for good.")
    if st.button("Delete", type="primary", key="delete-now"):
        for run in chosen:
            try:
                run.delete()
            except (ValueError, OSError) as error:
                st.error(f"{error}.")
                return
        st.rerun()


def row(run: Run, state: State) -> None:
    """A run in a line."""
    told = run.told
    step, steps = told.get("step") or 0, told.get("steps") or 0
    with st.container(horizontal=True, vertical_alignment="center", key=f"row-{run.id}"):
        st.checkbox("choose", key=f"chosen-{run.id}", label_visibility="collapsed", width="content")
        st.badge(state, color=COLOURS[state], width=104)
        link("run", title_of(run), query={"id": run.id}, width=300)
        st.markdown(f":gray[{run.plan.method}]", width=260)
        st.markdown(f"{step:,} of {steps:,} steps" if steps else "", width=220)
        st.markdown(f":gray[{ago(run.plan.created)}]", width=150)
    if ending := run.ending:
        st.caption(f":orange[{ending}]")
    elif run.cause:
        st.caption(f":red[{run.cause}] {run.hint}")


def table(was_live: bool) -> None:
    """The lists, drawn again and again: what another page or the command line starts shows by itself."""
    there = [(run, run.state) for run in all_runs()]
    if was_live != any(state in LIVE for _, state in there):
        st.rerun()
    if not there:
        st.markdown("No runs yet. Start one from the Train tab of a method, or on the command line:")
        st.code("visionarium train representation.mae --preset demo", language="bash")
        return
    verbs([(run, state) for run, state in there if st.session_state.get(f"chosen-{run.id}")])
    waiting = queue()
    in_line = {one.folder for one in waiting}
    for run, state in there:
        if state in LIVE and run.folder not in in_line:
            row(run, state)
    show_queue(waiting)
    ended = [(run, state) for run, state in there if state not in LIVE and run.folder not in in_line]
    pages = -(-len(ended) // SHOWN)
    at = min(st.session_state.get("runs-page", 1), pages)
    for run, state in ended[(at - 1) * SHOWN : at * SHOWN]:
        row(run, state)
    if pages > 1:
        st.pagination(pages, key="runs-page")


def verbs(chosen: list[tuple[Run, State]]) -> None:
    """What may be done with the chosen runs."""
    live = [run for run, state in chosen if state in LIVE]
    ended = [run for run, state in chosen if state in RESUMABLE]
    with st.container(horizontal=True, key="verbs"):
        if st.button("Cancel", disabled=not live):
            act(run.cancel for run in live)
        if st.button("Resume", disabled=not ended):
            act([lambda: resume(*ended)])
        if st.button("Delete", disabled=not chosen or bool(live)):
            confirm([run for run, _ in chosen])
        few = FEWEST <= len(chosen) <= CHOSEN
        if st.button("Compare", disabled=not few, help=f"Choose {FEWEST} to {CHOSEN} runs."):
            st.switch_page(PAGES / "compare.py", query_params={"runs": ",".join(run.id for run, _ in chosen)})


def act(verbs: Iterable[Callable[[], None]]) -> None:
    """Do what was asked of each run; what cannot be done is said."""
    for verb in verbs:
        try:
            verb()
        except (ValueError, OSError) as error:
            st.error(f"{error}.")


some_live = any(run.state in LIVE for run in all_runs())
st.fragment(table, run_every=1.5 if some_live else 5.0)(some_live)

housekeeping()
