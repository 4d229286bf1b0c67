"""The catalogue, in teaching order."""

import streamlit as st

from engine import catalog
from lab.parts.cards import card, demo_seconds, is_trained
from lab.parts.choices import named_choice
from lab.parts.links import link
from lab.parts.wings import wing_name

st.title("Methods", anchor=False)
with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
    sought = st.text_input(
        "Search",
        key="q",
        bind="query-params",
        placeholder="title, author, idea",
        type="search",
        live="200ms",
        width=420,
    )
    quick = st.toggle("Demo under a minute", key="quick", bind="query-params")
    ready = st.toggle("No training needed", key="ready", bind="query-params")
cards = catalog.cards()
wings = list(dict.fromkeys(one.wing for one in cards))
wing = named_choice(
    st.pills, "Wing", wings, key="wing", usual=None, format_func=wing_name, label_visibility="collapsed"
)

if wing in (None, "representation", "semi"):
    link("learned", "Methods that learn features, side by side: what they come to by steps and by seconds")
words = (sought or "").lower().split()
cards = [
    one
    for one in cards
    if all(word in f"{one.title} {one.authors} {wing_name(one.wing)} {one.idea}".lower() for word in words)
    and wing in (None, one.wing)
    and (not quick or (demo_seconds(one.id) or 61) <= 60)
    and (not ready or is_trained(one.id))
]
if not cards:
    st.markdown("No method fits. Take a filter away, or search for a shorter word.")
with st.grid(3, gap="large", min_column_width=300):
    for one in cards:
        card(one)
