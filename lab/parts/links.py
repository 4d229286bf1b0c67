"""Links between pages, without loading the application anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

PAGES = Path(__file__).resolve().parent.parent.parent / "pages"
STUDIOS = (
    ("augment", "Augmentation", "What a network in training sees, and when the label begins to lie."),
    ("map", "Embedding map", "Where a network places pictures: zoom, colour, draw a loop, and see what lies there."),
    ("masked", "Masked pictures", "Hide patches with a brush and see them painted."),
    ("style", "Style", "Your picture in the manner of a painting."),
    ("uncertainty", "Uncertainty", "Where a network does not know, and whether it notices."),
    ("views", "Views", "Look at one picture in several ways, and choose before trying."),
)
"""The studios: page, title, what one does there."""


def link(page: str, label: str, *, query: dict[str, str] | None = None, **looks: Any) -> None:
    """A link to pages/<page>.py with this query in the address."""
    st.page_link(PAGES / f"{page}.py", label=label, query_params=query, **looks)
