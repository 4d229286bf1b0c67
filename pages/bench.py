"""Two classifiers under all lenses at once: /bench?a=uncertainty.mc_dropout&b=augmentation.randaugment"""

import streamlit as st

from lab.parts.bench import bench

st.title("Lens bench", anchor=False)
st.markdown(
    "The same picture through two networks, under every lens at once: what they say, whether it stands when the "
    "picture is augmented, turned or spoilt, and what it hangs on. Where A and B differ stands out.", width=900,
)  # fmt: skip
bench()
