"""A sweep: /sweep?id=20261122-171233-4f2a"""

import streamlit as st

from lab.parts.links import link
from lab.parts.progress import ago
from lab.parts.sweep import settings, sweep
from lab.parts.titles import method_title, title_of
from lab.runs.sweep import find_sweep

try:
    found = find_sweep(st.query_params.get("id", ""))
except ValueError as error:
    st.error(f"{error}.")
    link("sweeps", "All sweeps")
    st.stop()

plan = found.plan
with st.container(key="label", gap="xsmall"):
    st.markdown(f":primary[Sweep {found.id}]")
    st.title(title_of(plan), anchor=False)
with st.container(horizontal=True, vertical_alignment="center"):
    link("method", method_title(plan.method), query={"id": plan.method})
    link("sweeps", "All sweeps")
    st.markdown(f":gray[started {ago(plan.created)}]", width="content")
sweep(found.id)
settings(found)
