"""Two runs that classify, asked about the same test pictures: is one better, and where do they disagree?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape
from typing import get_args

import streamlit as st

from engine.metrics.compare import verdict
from lab import warm
from lab.answers import Answers, Disagreement, Kind, ask, disagreement
from lab.overlaid import colour_of
from lab.parts.choices import named_choice
from lab.plots import data_url
from lab.runs import Run
from lab.runs.compare import labels

SHOWN = 24
"""Pictures on a page of the grid."""


def answers(runs: Sequence[Run]) -> None:
    """Choose two, and see."""
    ids, names = [run.id for run in runs], dict(zip([run.id for run in runs], labels(runs), strict=True))
    with st.container(horizontal=True):
        a, b = (
            named_choice(st.selectbox, side, ids, key=side.lower(), usual=usual, format_func=names.get, width=380)
            for side, usual in zip("AB", ids, strict=False)
        )  # fmt: skip
    if a == b:
        st.markdown("Choose two different runs.")
        return
    found = look(a, b)
    if found is not None:
        show(found, names[a], names[b], ids.index(a), ids.index(b))


def look(a: str, b: str) -> Disagreement | None:
    """The answers of both, asked in the background; None until they are there, or when they cannot be compared."""
    try:
        one, two = (said(id) for id in (a, b))
        if one is not None and two is not None:
            return disagreement(one, two)
    except (ValueError, OSError) as error:
        st.warning(f"These two cannot be compared: {error}.")
        return None
    st.fragment(wait, run_every=0.5)(a, b)
    return None


def said(id: str) -> Answers | None:
    """A run's answers, kept for its newest checkpoint."""
    stamp = warm.stamp(id)
    return warm.work(("answers", id, stamp), partial(_said, id, stamp))


def _said(id: str, stamp: str) -> Answers:
    return ask(warm.looker(id, stamp))


def wait(a: str, b: str) -> None:
    """Look again until both have answered, then draw the page anew."""
    st.caption("Both are being asked about all test pictures; this takes a few seconds.")
    try:
        there = [said(id) is not None for id in (a, b)]
    except (ValueError, OSError):
        there = [True]
    if all(there):
        st.rerun()


def show(found: Disagreement, a: str, b: str, place_a: int, place_b: int) -> None:
    """The verdict, then the pictures."""
    pairs = found.pairs
    st.markdown(verdict(pairs, "A", "B"))
    table = {
        "": ["A right", "A wrong"],
        "B right": [pairs.both, pairs.only_b],
        "B wrong": [pairs.only_a, pairs.neither],
    }
    st.dataframe(table, hide_index=True, width="content", alt="how often both, one or neither is right")
    st.caption(
        "Only pictures on which one of them alone is right tell them apart (McNemar's test). The interval comes from "
        "drawing the test pictures 10,000 times anew; it tells of other pictures, not of another training."
    )
    kinds: list[Kind] = list(get_args(Kind))
    counts = {one: len(found.rows(one)) for one in kinds}
    chosen = named_choice(
        st.segmented_control, "Disagreements", kinds, key="disagreements", usual="all", required=True,
        format_func=lambda one: f"{one} ({counts[one]:,})",
    )  # fmt: skip
    rows = found.rows(chosen)
    if not len(rows):
        st.markdown("There is no such picture.")
        return
    pages = -(-len(rows) // SHOWN)
    at = st.pagination(pages, key=f"disagreements-{chosen}") if pages > 1 else 1
    st.html(grid(found, rows[(at - 1) * SHOWN : at * SHOWN].tolist(), colour_of(place_a), colour_of(place_b)))


def grid(found: Disagreement, rows: Sequence[int], a: str, b: str) -> str:
    """Pictures with the truth and both answers, each in its run's colour; what is right is bold."""
    import torch

    images = found.test.batch(torch.as_tensor(found.places[rows])).images.cpu().numpy()
    classes = found.test.facts.classes
    figures = []
    for image, row in zip(images, rows, strict=True):
        truth = int(found.truth[row])
        lines = [f"<div>{escape(classes[truth])}</div>"]
        for side, colour, label in (("A", a, int(found.a[row])), ("B", b, int(found.b[row]))):
            word = f"<b>{escape(classes[label])}</b>" if label == truth else escape(classes[label])
            lines.append(f'<div><span style="background:{colour}">{side}</span> {word}</div>')
        figures.append(f'<figure><img src="{data_url(image)}" alt="">{"".join(lines)}</figure>')
    return f'<div class="disagreements">{"".join(figures)}</div>'
