"""Links between pages, without loading the application anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

PAGES = Path(__file__).resolve().parent.parent.parent / "pages"


def link(page: str, label: str, *, query: dict[str, str] | None = None, **looks: Any) -> None:
    """A link to pages/<page>.py with this query in the address."""
    st.page_link(PAGES / f"{page}.py", label=label, query_params=query, **looks)
