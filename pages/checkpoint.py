"""Looking through a checkpoint of one's own: /checkpoint?path=/data/checkpoint.safetensors"""

import streamlit as st

from engine.catalog import card
from lab import warm
from lab.parts.play import play, wait_for

st.title("Look through a checkpoint", anchor=False)
st.markdown(
    "Give the path of a checkpoint that a run of this lab wrote, or a run's folder. It is opened without executing "
    "anything in it; then every lens of its method looks through it, on the shipped pictures or on yours.", width=900,
)  # fmt: skip
path = st.text_input(
    "Path on this machine",
    key="path",
    bind="query-params",
    placeholder="/home/you/.visionarium/runs/.../checkpoints/00002000.safetensors",
)
if path:
    try:
        looker = warm.ready(path)
    except ValueError as error:
        st.error(f"{error}.")
        st.stop()
    if looker is None:
        wait_for(path)
    else:
        opened = looker.opened
        with st.container(horizontal=True, gap="large"):
            st.metric("method", card(opened.id).title, width="content")
            st.metric("trained for", f"{opened.step:,} steps", width="content")
            st.metric("pictures", f"{opened.facts.size} px, {opened.facts.channels} channels", width="content")
            st.metric("classes", len(opened.facts.classes) or "none", width="content")
        play(opened.id, path)
