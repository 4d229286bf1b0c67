"""Runs side by side: /compare?runs=<id>,<id>,..."""

import streamlit as st

from lab.parts.compare import asked, who
from lab.parts.compare_answers import answers
from lab.parts.compare_curves import curves
from lab.parts.compare_pictures import pictures
from lab.parts.links import link
from lab.parts.tabs import tabs
from lab.runs.compare import compared

st.title("Side by side", anchor=False)

try:
    runs = compared(st.query_params.get("runs", ""))
except ValueError as error:
    st.error(f"{error}.")
    link("runs", "All runs")
    st.stop()

who(runs)
tabs({
    "Curves": lambda: curves(runs), "Pictures": lambda: pictures(runs), "Answers": lambda: answers(runs),
    "Settings": lambda: asked(runs),
})  # fmt: skip
