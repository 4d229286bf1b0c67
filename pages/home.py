"""Three doors, the last runs, and what this machine has."""

import streamlit as st

from engine import catalog
from lab.parts.cards import picture_of
from lab.parts.links import STUDIOS, link
from lab.parts.machine import device
from lab.parts.play import stored_answers
from lab.parts.progress import COLOURS, ago
from lab.parts.titles import title_of
from lab.runs import all_runs

st.title("Visionarium", anchor=False)
st.markdown(
    "Understand a computer-vision method, turn its knobs, train it for a minute, and look at what it learned. "
    "Everything here works without a network.", width=900,
)  # fmt: skip

ids = catalog.ids()
ready = next((id for id in ("representation.mae", *ids) if id in ids and stored_answers(id)), ids[0])

st.space("small")
doors = st.columns(3, gap="large")
with doors[0], st.container(key="door-teach"):
    picture_of(ready)
    st.subheader("Teach", anchor=False)
    st.markdown(f"Open a page that is ready for a lecture hall: *{catalog.card(ready).title}* on real pictures.")
    link("method", "Open it", query={"id": ready}, icon=":material/arrow_forward:")
    st.markdown("Or play with one idea in a studio:")
    with st.container(horizontal=True, gap="small"):
        for page, title, says in STUDIOS:
            link(page, title, help=says, width="content")
with doors[1], st.container(key="door-explore"):
    picture_of(next((id for id in reversed(ids) if stored_answers(id) and id != ready), ready))
    st.subheader("Explore", anchor=False)
    st.markdown(f"Walk through the {len(ids)} methods, play with each, and train the one you like for a minute.")
    link("methods", "All methods", icon=":material/arrow_forward:")
with doors[2], st.container(key="door-debug"):
    picture_of(next((id for id in ("detection.retinanet", *ids) if id in ids and stored_answers(id)), ready), place=1)
    st.subheader("Debug", anchor=False)
    st.markdown("Look through your own checkpoint on your own pictures, and have your data checked before a run.")
    link("checkpoint", "Look through a checkpoint", icon=":material/arrow_forward:")
    link("bench", "Two on the lens bench", icon=":material/arrow_forward:")
    link("data", "Check data", icon=":material/arrow_forward:")

st.subheader("Last runs", anchor=False)
runs = all_runs()[:5]
if not runs:
    st.markdown(":gray[None yet. Start one from the Train tab of a method.]")
for run in runs:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(run.state, color=COLOURS[run.state], width=110)
        link("run", title_of(run.plan), query={"id": run.id})
        st.markdown(f":gray[{ago(run.plan.created)}]", width="content")
st.caption(device())
