"""The embedding map and its game: /map"""

import streamlit as st

from lab.parts.embedding import embedding
from lab.parts.learnability import learnability
from lab.parts.tabs import tabs

st.title("Embedding map", anchor=False)
st.markdown(
    "A network turns each picture into a row of numbers; a map lays them out so that alike is near."
)  # fmt: skip
tabs({"Map": embedding, "Learnability": learnability})
