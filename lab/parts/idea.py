"""What a method is, from its file alone: the idea, the equation with its terms, the source of `train`. No torch."""

from __future__ import annotations

import ast
import re

import streamlit as st

from engine.catalog import Card
from lab.parts.wings import wing_name


def header(card: Card) -> None:
    """The wall label: title, authors, idea."""
    with st.container(key="label", gap="xsmall"):
        st.markdown(f":primary[{wing_name(card.wing)}]")
        st.title(card.title, anchor=False)
        st.markdown(f"{card.authors}. *{card.venue}.* {card.source}")
    st.markdown(one_paragraph(card.idea), width=1060)


def idea(card: Card) -> None:
    """The equation and its terms, what differs from the paper, what to expect, and the loop itself."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("Equation", anchor=False)
        st.latex(equation(card))
        rows = "\n".join(f"| {symbol} | {meaning} |" for symbol, meaning in card.terms)
        with st.container(key="terms"):
            st.markdown(f"| | |\n|:--|:--|\n{rows}")
    with right:
        st.subheader("Differs from the paper", anchor=False)
        st.markdown(one_paragraph(card.parts["Differs"]))
        st.subheader("Expect", anchor=False)
        st.markdown(one_paragraph(card.parts["Expect"]))
    st.subheader("How it trains", anchor=False)
    st.caption(f"The method's own loop, from `{card.path.name}`: each `yield` is what the curves and pictures show.")
    st.code(source(card, "train"), language="python")


def equation(card: Card) -> str:
    """The equation as LaTeX."""
    return " ".join(card.parts["Equation"].replace("$$", " ").split())


def one_paragraph(text: str) -> str:
    """A docstring's paragraphs with their lines joined."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text))


def source(card: Card, name: str) -> str:
    """The source of a function of the method's file."""
    text = card.path.read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return ast.get_source_segment(text, node) or ""
    return ""
