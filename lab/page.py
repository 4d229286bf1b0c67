"""The one template of a method's page: the label on the wall, then Play, Idea, Train and Receipt."""

from __future__ import annotations

import streamlit as st

from engine import catalog
from lab.parts.idea import header, idea
from lab.parts.links import link
from lab.parts.play import play
from lab.parts.receipt import receipt
from lab.parts.tabs import tabs
from lab.parts.train import train


def method_page(id: str) -> None:
    """The page of the method `id`; one that does not exist is named, with those that come near."""
    try:
        card = catalog.card(id)
    except ValueError as error:
        st.error(f"{str(error)[0].upper()}{str(error)[1:]}")
        link("methods", "All methods")
        return
    header(card)
    tabs({
        "Play": lambda: play(id), "Idea": lambda: idea(card), "Train": lambda: train(card),
        "Receipt": lambda: receipt(card),
    })  # fmt: skip
    neighbours(id)


def neighbours(id: str) -> None:
    """The way on: the methods before and after this one."""
    ids = catalog.ids()
    at = ids.index(id)
    with st.container(horizontal=True, horizontal_alignment="distribute", key="neighbours"):
        for place, label in ((at - 1, "Before: {}"), (at + 1, "Next: {}")):
            if 0 <= place < len(ids):
                there = catalog.card(ids[place])
                link("method", label.format(there.title), query={"id": there.id})
