"""Sweeps: /sweep lists them and begins new ones; /sweep?id=20261122-171233-4f2a is one as it goes."""

import streamlit as st

from engine.catalog import card
from lab.parts.links import link
from lab.parts.progress import ago
from lab.parts.sweep import settings, sweep, sweeps
from lab.parts.sweep_form import new_sweep
from lab.runs.sweep import find_sweep

id = st.query_params.get("id")
if id is None:
    st.title("Sweeps", anchor=False)
    st.markdown(
        "One method at each cell of a grid of knobs: ordinary runs in the ordinary line, compared by one figure."
    )
    sweeps()
    st.subheader("New sweep", anchor=False)
    new_sweep()
    st.stop()

try:
    found = find_sweep(id)
except ValueError as error:
    st.error(f"{error}.")
    link("sweep", "All sweeps")
    st.stop()

plan = found.plan
method = card(plan.method)
with st.container(key="label", gap="xsmall"):
    st.markdown(f":primary[Sweep {found.id}]")
    st.title(plan.name or method.title, anchor=False)
with st.container(horizontal=True, vertical_alignment="center"):
    link("method", method.title, query={"id": plan.method})
    link("sweep", "All sweeps")
    st.markdown(f":gray[started {ago(plan.created)}]", width="content")
sweep(id)
settings(found)
