"""An exhibit on a page: its figures, the sentence a visitor should read, and the script that draws it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Literal

import streamlit as st
from PIL import Image

from engine.method import Exhibit
from lab.components.scrub import scrub
from lab.figures import Figure, Plot, Reel, Sheet, data_url, draw, jpeg
from lab.plots import style
from lab.redraw import script


def is_dark() -> bool:
    """Whether the page is dark now."""
    return st.context.theme.type == "dark"


def show(exhibits: Iterable[Exhibit], values: Mapping[str, Any], key: str) -> None:
    """All exhibits for which there are values; the others say what is missing."""
    for place, exhibit in enumerate(exhibits):
        with st.container(key=f"exhibit-{key}-{place}", gap="xsmall"):
            try:
                figures = draw(exhibit, values, is_dark())
            except ValueError as error:
                st.caption(f"{exhibit.says} :gray[Not shown: {error}.]")
                continue
            with st.container(horizontal=len(figures) > 1):
                for number, figure in enumerate(figures):
                    show_figure(figure, exhibit.says, f"{key}-{place}-{number}")
            legend(exhibit, values, f"{key}-{place}")


def show_figure(figure: Figure, says: str, key: str) -> None:
    match figure:
        case Image.Image():
            st.image(jpeg(figure), alt=says)
        case Plot():
            width: int | Literal["stretch"] = figure.width or "stretch"
            spec = figure.spec | {"config": style(is_dark())}
            st.vega_lite_chart(figure.rows, spec, width=width, key=f"plot-{key}", alt=says)
        case Reel():
            scrub([(str(i + 1), [data_url(frame)]) for i, frame in enumerate(figure.frames)], key=f"reel-{key}")
        case Sheet():
            st.dataframe(figure.columns, hide_index=True, width="content", alt=says)


def legend(exhibit: Exhibit, values: Mapping[str, Any], key: str) -> None:
    """The sentence under a figure, and the script beside it."""
    with st.container(horizontal=True, wrap=False, vertical_alignment="top", horizontal_alignment="distribute"):
        st.caption(exhibit.says)
        st.download_button(
            "Script", partial(script, exhibit, dict(values)), f"{type(exhibit).__name__.lower()}.py", "text/x-python",
            key=f"script-{key}", type="tertiary", on_click="ignore", icon=":material/code:",
            help="A Python file that draws this figure again, without the lab.",
        )  # fmt: skip
