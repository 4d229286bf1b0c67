"""What was asked of a run and what answered: its knobs, its provenance, and the ways to take it along."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import streamlit as st

from engine.catalog import method
from engine.flags import command
from engine.params import KnobError
from engine.provenance import read_provenance
from lab import warm
from lab.forms import plain
from lab.parts.housekeeping import mb
from lab.parts.play import wait_for
from lab.parts.titles import missing
from lab.runs import Run
from lab.share.script import facts, notebook, script


def settings(run: Run) -> None:
    """The command line, the knobs and beside them the provenance; then script, notebook and the run as one file."""
    plan = run.plan
    fits = warm.is_warm() and not missing(plan.method)
    if says := missing(plan.method):
        st.caption(says)
    elif fits:
        from engine.bench import Setup

        try:
            params, setup = method(plan.method).params.make(plan.values), Setup.make(plan.setup)
            st.code(command(plan.method, params, setup), language="bash", wrap_lines=True)
        except KnobError as error:
            fits = False
            st.caption(f"This version of the method takes other knobs: {error}.")
    else:
        wait_for("")
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.subheader("Knobs", anchor=False)
        asked = {**plan.values, **plan.setup}
        rows = {"knob": [name.replace("_", " ") for name in asked], "value": [plain(value) for value in asked.values()]}
        st.dataframe(rows, hide_index=True, height="content", alt="the knobs of this run")
    with right:
        provenance(run)
        take_along(run, fits)


def provenance(run: Run) -> None:
    """Where its numbers come from, and what has changed at a resume."""
    st.subheader("Where its numbers come from", anchor=False)
    told = read_provenance(run.folder)
    rows = list(facts(told))
    changed = [(topic, says) for topic, says in rows if topic.startswith("changed on resume")]
    with st.container(key="provenance"):
        shown = {escaped(topic): escaped(says) for topic, says in rows if (topic, says) not in changed}
        st.table(shown, border=False)
    if changed:
        lines = "\n".join(f"- {topic.removeprefix('changed on resume ')}, {escaped(says)}" for topic, says in changed)
        st.warning(f"Something changed when it was resumed:\n{lines}", icon=":material/history:")
    st.caption(f"Its folder is {run.folder}")


def files(run: Run) -> None:
    """What lies in its folder."""
    with st.expander("Files", key=f"files-{run.id}"):
        there = sorted(path for path in run.folder.rglob("*") if path.is_file())
        sizes = {str(path.relative_to(run.folder)): mb(path.stat().st_size) for path in there}
        st.dataframe({"file": list(sizes), "size": list(sizes.values())}, hide_index=True, width="content",
                     alt="the files of this run")  # fmt: skip
        st.caption(f"In {run.folder}")


def escaped(words: str) -> str:
    """Words that an imported run may have chosen, without the marks that Markdown would read."""
    return re.sub(r"([\\`*_{}\[\]<>()#$:~|!])", r"\\\1", words)


def take_along(run: Run, fits: bool) -> None:
    """Script, notebook, one file. fits: whether the method is loaded and takes the run's knobs."""
    st.subheader("Take it along", anchor=False)
    st.markdown(
        "The script and the notebook train it anew without the lab; on a CPU they report the same numbers. "
        "The one file holds all that is here: bring it in on another lab's page of runs, then look, compare, go on."
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        download("Script", partial(script, run), f"{run.id}.py", "text/x-python", run.id, fits)
        download("Notebook", partial(notebook, run), f"{run.id}.ipynb", "application/x-ipynb+json", run.id, fits)
        link = f"/api/runs/{run.id}/archive"
        help = "With its checkpoints, pictures and log."
        if run.live:
            help += " A copy of what is there by now: the run goes on, and the copy can be resumed from its checkpoint."
        st.link_button("Run as one file", link, help=help, icon=":material/folder_zip:")
        st.link_button("Without checkpoints", f"{link}?checkpoints=0", type="tertiary")


def download(label: str, made: Callable[[], str], name: str, kind: str, key: str, fits: bool) -> None:
    """A button whose file is made when it is pressed."""
    st.download_button(
        label, made, name, kind, key=f"{label}-{key}", on_click="ignore", disabled=not fits, icon=":material/code:"
    )
