"""The frame around every page: title, style, navigation; and, once the first page stands, the warming of torch."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.assets import asset
from lab import warm
from lab.home import check_writable, runs_folder
from lab.parts.address import shown
from lab.parts.links import PAGES, STUDIOS

st.set_page_config(page_title="Visionarium", page_icon=str(asset("icon.png")), layout="wide")
st.html(Path(__file__).with_name("style.css"))

studios = [st.Page(PAGES / f"{name}.py", title=title, help=says) for name, title, says in STUDIOS]

try:
    check_writable(runs_folder())
except ValueError as error:
    st.warning(f"{error}.", icon=":material/lock:")

pages = [
    st.Page(PAGES / "home.py", title="Home", default=True),
    st.Page(PAGES / "methods.py", title="Methods", help="The catalogue: every method, wing by wing."),
    st.Page(PAGES / "runs.py", title="Runs", help="What was trained: live, finished, side by side."),
    st.Page(PAGES / "sweeps.py", title="Sweeps", help="One method over a grid of knobs: what is best, and where."),
    st.Page(PAGES / "checkpoint.py", title="Checkpoint", help="Look through a checkpoint of your own."),
    st.Page(PAGES / "bench.py", title="Lens bench", help="Two classifiers, the same pictures, all lenses at once."),
    st.Page(PAGES / "data.py", title="Data", help="Browse what ships, check what is yours."),
    st.Page(PAGES / "method.py", title="Method", visibility="hidden"),
    st.Page(PAGES / "run.py", title="Run", visibility="hidden"),
    st.Page(PAGES / "sweep.py", title="Sweep", visibility="hidden"),
    st.Page(PAGES / "compare.py", title="Compare", visibility="hidden"),
    st.Page(PAGES / "learned.py", title="Features, side by side", visibility="hidden"),
]
try:
    st.navigation({"": pages, "Studios": studios}, position="top").run()
finally:
    shown()
warm.begin()
