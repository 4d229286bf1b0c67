"""A method as a card: a strip of what it does, its title and idea."""

from __future__ import annotations

import streamlit as st
from PIL import Image

from engine import receipts
from engine.catalog import Card
from engine.record import read_values
from engine.showcase import folder
from lab.figures import DRAWN, jpeg
from lab.parts.idea import one_paragraph
from lab.parts.links import link
from lab.parts.play import stored_answers
from lab.parts.wings import wing_name

ACROSS, TILE = 4, 168


@st.cache_data(show_spinner=False, ttl=60)
def strip_of(id: str, place: int = 0) -> bytes | None:
    """Four tiles of a stored answer that has pictures, as JPEG; None when nothing of the kind ships."""
    for answer in stored_answers(id)[place:]:
        for exhibit in answer.exhibits:
            if drawn := DRAWN.get(type(exhibit)):
                columns, _ = drawn(exhibit.names, read_values(answer.path)[0])
                return jpeg(strip(list(columns.values())))
    return strip_of(id) if place else None


def strip(columns: list[list[Image.Image]]) -> Image.Image:
    """Four tiles side by side: image after image, each in all its columns, from the middle of the answer on."""
    rows = len(columns[0])
    order = [*range(rows // 2, rows), *range(rows // 2)]
    tiles = [column[row] for row in order for column in columns if row < len(column)][:ACROSS]
    sheet = Image.new("RGB", (ACROSS * TILE, TILE), "#808080")
    for i in range(ACROSS):
        sheet.paste(tiles[i % len(tiles)].resize((TILE, TILE), Image.Resampling.LANCZOS), (i * TILE, 0))
    return sheet


def picture_of(id: str, place: int = 0) -> None:
    """The strip of a method, or a quiet field where it has none."""
    found = strip_of(id, place)
    if found is not None:
        st.image(found, width="stretch", alt="")
    else:
        st.html('<div class="no-picture"></div>')


def card(one: Card) -> None:
    """A card of the catalogue."""
    with st.container(key=f"card-{one.id.replace('.', '-')}", gap="xsmall", height="stretch"):
        picture_of(one.id)
        st.markdown(f":primary[{wing_name(one.wing)}]")
        link("method", f"**{one.title}**", query={"id": one.id})
        st.caption(f"{one.authors.split(',')[0]}{' and others' if ',' in one.authors else ''}. {one.venue}")
        st.markdown(first_sentence(one.idea))
        told = [f"demo {seconds} s" for seconds in [demo_seconds(one.id)] if seconds]
        told += ["plays at once"] if is_trained(one.id) else []
        st.caption(" · ".join(told))


def first_sentence(text: str) -> str:
    """The idea's first sentence."""
    whole = one_paragraph(text)
    end = whole.find(". ")
    return whole if end < 0 else whole[: end + 1]


def demo_seconds(id: str) -> int | None:
    """How long the demo took where it was measured, in CPU seconds."""
    found = receipts.read(id)
    return None if found is None else round(found.seconds)


def is_trained(id: str) -> bool:
    """Whether a trained model ships."""
    return (folder(id) / "checkpoint.safetensors").exists()
