"""The methods that learn features, side by side."""

import streamlit as st

from lab import learned
from lab.components.overlay import overlay
from lab.parts.links import link

st.title("Features, side by side", anchor=False)
st.markdown(
    "Each method that learns features, at the budget of its demo, as measured for its receipt: the mean of its seeds. "
    "How often do the nearest of a few labelled pictures, or a linear probe fitted to them, know a test picture's "
    "class? And do features keep varying, or do they collapse?",
    width=1060,
)
with st.container(horizontal=True, vertical_alignment="bottom"):
    on = st.segmented_control(
        "Pictures", (learned.USUAL, learned.COLOUR), default=learned.USUAL, required=True, key="on",
        bind="query-params", help="Grey garments in ten classes, or one of twenty objects in colour on a photograph.",
    )  # fmt: skip
    along = st.segmented_control(
        "Along", ("seconds", "step"), default="seconds", required=True, key="along", bind="query-params",
        help="Seconds of one CPU core, evaluations included.",
    )  # fmt: skip
    contrasts = st.toggle(
        "Contrasts, too", key="contrasts", bind="query-params", disabled=on != learned.USUAL,
        help="Dashed: what each method becomes without something that its claim is about.",
    )  # fmt: skip
found = learned.learners(on, contrasts)
if not found:
    st.markdown("Nothing was measured yet: `visionarium receipts representation.simclr --measure`.")
    st.stop()
st.html(learned.legend(found))
if known := learned.references(found, on):
    st.caption("Grey: " + ", ".join(f"{name} {value:.3f}" for name, value in known.items()) + ".")
overlay(learned.figures(found, along, on), along, key="learned")
percent = st.column_config.NumberColumn(format="%.3f")
st.dataframe(
    learned.table(found), hide_index=True, alt="where each method ended",
    column_config=dict.fromkeys(("neighbours", "±", "probe", "± "), percent),
)  # fmt: skip
st.caption(
    "What the few labelled pictures are differs where a method says so in its receipt: PAWS has four of each class, "
    "and learns from them, too."
    + (" A label says at once that the object counts and not the photograph behind it; without labels a method must "
       "find out." if on == learned.COLOUR else "")
)  # fmt: skip
with st.container(horizontal=True):
    for id, title in dict.fromkeys((one.id, one.title) for one in found):
        link("method", title, query={"id": id, "part": "Receipt"})
