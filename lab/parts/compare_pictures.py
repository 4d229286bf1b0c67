"""The stored pictures of runs as a matrix: runs as columns, pictures as rows, one slider over steps."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.files import stamp
from engine.method import Boxes, Exhibit
from lab import warm
from lab.components.matrix import Shown, matrix
from lab.figures import PICTURES
from lab.overlaid import colour_of
from lab.pictures import words
from lab.runs import Run
from lab.runs.compare import aligned, labels


def pictures(runs: Sequence[Run]) -> None:
    """The matrix of an exhibit that two runs share; which one, where they share several."""
    exhibits = [warm.exhibits(run.plan.method) if run.media() else () for run in runs]
    options = common(exhibits)
    if not options:
        st.markdown("No two of them stored pictures of one kind.")
        return
    named = {f"{kind(one)}: {', '.join(words(name) for name in one.names)}": one for one in options}
    chosen = next(iter(named))
    if len(named) > 1:
        chosen = st.segmented_control(
            "Exhibit", list(named), default=chosen, required=True, key="exhibit", bind="query-params"
        )
    exhibit, names = named[chosen], labels(runs)
    showing = [place for place, own in enumerate(exhibits) if exhibit in own]
    frames = aligned([[step for step, _ in runs[place].media()] for place in showing])
    columns: list[Shown] = [
        {"label": names[place], "colour": colour_of(place),
         "address": f"/api/runs/{runs[place].id}/cells/{exhibits[place].index(exhibit)}/",
         "stamps": {str(step): stamp(path) for step, path in runs[place].media()}}
        for place in showing
    ]  # fmt: skip
    wanted = st.query_params.get("step", "")
    start = int(wanted) if wanted.isdecimal() else None
    at = matrix(
        columns, [words(name) for name in drawn(exhibit)], frames, start, key=f"matrix-{options.index(exhibit)}"
    )
    if at is not None:
        st.query_params["step"] = str(at)
    told = [exhibit.says, "Each run shows its stored step nearest to the slider's. Click a picture to enlarge it."]
    if without := [name for place, name in enumerate(names) if place not in showing]:
        told.append(f"Nothing of the kind is stored by {', '.join(without)}.")
    st.caption(" ".join(told))


def kind(exhibit: Exhibit) -> str:
    return type(exhibit).__name__


def drawn(exhibit: Exhibit) -> tuple[str, ...]:
    """The names that have tiles of their own: boxes are drawn on the first name's pictures, others stand beside."""
    return exhibit.names[1:] if isinstance(exhibit, Boxes) else exhibit.names


def common(exhibits: Sequence[Sequence[Exhibit]]) -> list[Exhibit]:
    """The exhibits drawn as pictures that two runs or more have."""
    every = list(dict.fromkeys(one for own in exhibits for one in own if isinstance(one, PICTURES)))
    return [one for one in every if sum(one in own for own in exhibits) > 1]
