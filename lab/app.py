"""The frame around every page: title, style, navigation; and, once the first page stands, the warming of torch."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from engine.assets import asset

PAGES = Path(__file__).resolve().parent.parent / "pages"

st.set_page_config(page_title="Visionarium", page_icon=str(asset("icon.png")), layout="wide")
st.html(Path(__file__).with_name("style.css"))

pages = [
    st.Page(PAGES / "home.py", title="Home", default=True),
    st.Page(PAGES / "methods.py", title="Methods"),
    st.Page(PAGES / "runs.py", title="Runs"),
    st.Page(PAGES / "data.py", title="Data"),
    st.Page(PAGES / "method.py", title="Method", visibility="hidden"),
    st.Page(PAGES / "run.py", title="Run", visibility="hidden"),
]
st.navigation(pages, position="top").run()
