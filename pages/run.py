"""A run: /run?id=20261122-171233-4f2a"""

import streamlit as st

from lab.parts.clone import descent
from lab.parts.links import link
from lab.parts.play import play
from lab.parts.progress import ago, progress
from lab.parts.settings import files, settings
from lab.parts.tabs import tabs
from lab.parts.titles import method_title, missing, title_of
from lab.runs import find

try:
    run = find(st.query_params.get("id", ""))
except ValueError as error:
    st.error(f"{error}.")
    link("runs", "All runs")
    st.stop()

plan = run.plan
with st.container(key="label", gap="xsmall"):
    st.markdown(f":primary[Run {run.id}]")
    st.title(title_of(plan), anchor=False)
with st.container(horizontal=True, vertical_alignment="center"):
    begun = "planned" if run.state == "queued" else "started"
    if missing(plan.method):
        st.markdown(f":gray[{plan.method}, not installed; {begun} {ago(plan.created)}]", width="content")
    else:
        link("method", method_title(plan.method), query={"id": plan.method})
        st.markdown(f":gray[{begun} {ago(plan.created)}]", width="content")
        descent(run)


def look() -> None:
    """Its lenses, once there is something to look through."""
    if says := missing(plan.method):
        st.markdown(says)
    elif run.checkpoints():
        play(plan.method, run.id)
    else:
        st.markdown("It has no checkpoint yet. The first is written after half a minute, or when it ends.")


def log() -> None:
    """The end of what its process said, and its files."""
    lines = run.log_tail(200)
    st.code("\n".join(lines) or "The log is empty.", language=None, wrap_lines=True, height=520)
    files(run)


tabs({"Course": lambda: progress(run.id), "Look": look, "Settings": lambda: settings(run), "Log": log})
