"""The pictures that a lens looks at: shipped ones, uploads, a folder's; the same ones fitted to each model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from lab import api
from lab.looking import MOST, Looker, pictures_in

if TYPE_CHECKING:
    from torch import Tensor


def chosen_pictures(lookers: Sequence[Looker], wide: int | None = None) -> list[str] | None:
    """The pictures to look at, kept under a name for each model; None while there are none.

    wide: pixels a side, where a lens does not take them as the model does. Shipped pictures are the first model's.
    """
    kinds = ["Shipped pictures", "Upload", "A folder here"]
    kind = st.segmented_control("Pictures", kinds, default=kinds[0], required=True, label_visibility="collapsed")
    try:
        if kind == kinds[0]:
            data = lookers[0].opened.data
            return [keep(one, wide, data, lambda one: one.shipped(data=data, size=wide)) for one in lookers]
        if kind == kinds[1]:
            files = st.file_uploader("Pictures from your computer", accept_multiple_files=True, key="upload")
            given = [(file.name, file.getvalue()) for file in (files or [])[:MOST]]
            told = "".join(hashlib.sha256(content).hexdigest() for _, content in given)
            return [keep(one, wide, told, lambda one: one.fitted(given, wide)) for one in lookers] if given else None
        path = st.text_input("Folder with pictures on this machine", placeholder="/data/pictures", key="folder")
        found = pictures_in(path) if path else []
        return [keep(one, wide, path, lambda one: one.fitted(found, wide)) for one in lookers] if path else None
    except ValueError as error:
        st.error(f"{error}.")
        return None


def keep(looker: Looker, wide: int | None, told: str, fitted: Callable[[Looker], Tensor]) -> str:
    """Keep pictures for the live routes, named by what they are and by how a model wants them."""
    facts = looker.opened.facts
    name = hashlib.sha256(f"{told} {facts.channels} {wide or facts.size}".encode()).hexdigest()
    return api.bring(name, fitted(looker))
