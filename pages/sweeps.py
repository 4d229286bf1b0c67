"""All sweeps, and the form that begins a new one."""

import streamlit as st

from lab.parts.sweep import sweeps
from lab.parts.sweep_form import new_sweep

st.title("Sweeps", anchor=False)
st.markdown("One method at each cell of a grid of knobs: ordinary runs in the ordinary line, compared by one figure.")
sweeps()
st.subheader("New sweep", anchor=False)
new_sweep()
