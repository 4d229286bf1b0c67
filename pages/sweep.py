"""A sweep: /sweep?id=20261122-171233-4f2a"""

import streamlit as st

from engine.catalog import card
from lab.parts.links import link
from lab.parts.progress import ago
from lab.parts.sweep import settings, sweep
from lab.runs.sweep import find_sweep

try:
    found = find_sweep(st.query_params.get("id", ""))
except ValueError as error:
    st.error(f"{error}.")
    link("sweeps", "All sweeps")
    st.stop()

plan = found.plan
method = card(plan.method)
with st.container(key="label", gap="xsmall"):
    st.markdown(f":primary[Sweep {found.id}]")
    st.title(plan.name or method.title, anchor=False)
with st.container(horizontal=True, vertical_alignment="center"):
    link("method", method.title, query={"id": plan.method})
    link("sweeps", "All sweeps")
    st.markdown(f":gray[started {ago(plan.created)}]", width="content")
sweep(found.id)
settings(found)
