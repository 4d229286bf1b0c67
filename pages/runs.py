"""All runs: which wait and in what order, how the others stand, and what to do with them."""

from collections.abc import Callable, Iterable

import streamlit as st

from engine.folder import State
from lab.parts.housekeeping import housekeeping, warn_of_dependents
from lab.parts.links import PAGES, link
from lab.parts.progress import COLOURS, ago
from lab.parts.queue import show_queue
from lab.parts.selection import box, clear, is_chosen
from lab.parts.titles import missing, title_of
from lab.parts.visitor import note, refusal
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
        st.markdown(f"{title_of(run.plan)} :gray[{run.id}, {ago(run.plan.created)}]")
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
        box(run)
        st.badge(state, color=COLOURS[state], width=104)
        link("run", title_of(run.plan), query={"id": run.id}, width=300)
        st.markdown(f":gray[{run.plan.method}{', not installed' if missing(run.plan.method) else ''}]", width=260)
        st.markdown(f"{step:,} of {steps:,} steps" if steps else "", width=220)
        st.markdown(f":gray[{ago(run.plan.created)}]", width=150)
    if ending := run.ending:
        st.caption(f":orange[{ending}]")
    elif run.cause:
        st.caption(f":{'red' if state in ('failed', 'lost') else 'gray'}[{run.cause}] {run.hint}")


def table(was_live: bool) -> None:
    """The lists, drawn again and again: what another page or the command line starts shows by itself."""
    there = [(run, run.state) for run in all_runs()]
    if was_live != any(state in LIVE for _, state in there):
        st.rerun()
    if not there:
        st.markdown("No runs yet. Start one from the Train tab of a method, or on the command line:")
        st.code("visionarium train representation.mae --preset demo", language="bash")
        return
    verbs([(run, state) for run, state in there if is_chosen(run)])
    there = [(run, state) for run, state in there if fits(run, state)]
    if not there:
        st.markdown("No run fits. Search for a shorter word, or for none.")
    found = {run.folder for run, _ in there}
    waiting = [one for one in queue() if one.folder in found]
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


def fits(run: Run, state: State) -> bool:
    """Whether a run is what is searched for: words of its name, method and state, or its whole id."""
    told = f"{title_of(run.plan)} {run.plan.method} {state}".lower()
    return all(word in told or word == run.id for word in st.session_state.get("find", "").lower().split())


def verbs(chosen: list[tuple[Run, State]]) -> None:
    """What may be done with the chosen runs."""
    mine = [(run, state) for run, state in chosen if not refusal(run.plan)]
    live = [run for run, state in mine if state in LIVE]
    ended = [run for run, state in mine if state in RESUMABLE]
    no = next((says for run, _ in chosen if (says := refusal(run.plan))), None)
    with st.container(horizontal=True, key="verbs", vertical_alignment="center"):
        if st.button("Cancel", disabled=not live, help=no):
            act(run.cancel for run in live)
        if st.button("Resume", disabled=not ended, help=no):
            act([lambda: resume(*ended)])
        if st.button("Delete", disabled=not mine or bool(live), help=no):
            confirm([run for run, _ in mine])
        few = FEWEST <= len(chosen) <= CHOSEN
        if st.button("Compare", disabled=not few, help=f"Choose {FEWEST} to {CHOSEN} runs."):
            st.switch_page(PAGES / "compare.py", query_params={"runs": ",".join(run.id for run, _ in chosen)})
        if chosen:
            st.markdown(f"{len(chosen)} selected", width="content")
            st.button("Clear", type="tertiary", key="clear", on_click=clear, help="Select none.")
        else:
            st.markdown(":gray[Select runs by the boxes before them.]", width="content")


def act(verbs: Iterable[Callable[[], None]]) -> None:
    """Do what was asked of each run; what cannot be done is said."""
    for verb in verbs:
        try:
            verb()
        except (ValueError, OSError) as error:
            st.error(f"{error}.")


if says := note():
    st.caption(says)
if all_runs():
    st.text_input(
        "Find", key="find", bind="query-params", placeholder="name, method or state", type="search", live="200ms",
        width=420, label_visibility="collapsed",
    )  # fmt: skip
some_live = any(run.state in LIVE for run in all_runs())
st.fragment(table, run_every=1.5 if some_live else 5.0)(some_live)

housekeeping()
