"""The stored pictures of runs as a matrix: runs as columns, pictures as rows, one slider over steps."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.method import Boxes, Exhibit
from lab import warm
from lab.components.matrix import matrix
from lab.figures import PICTURES
from lab.parts.compare import colour_of
from lab.pictures import words
from lab.runs import Run
from lab.runs.compare import aligned, labels


def pictures(runs: Sequence[Run]) -> None:
    """The matrix of an exhibit that two runs share; which one, where they share several."""
    exhibits = [warm.exhibits(run.plan.method) for run in runs]
    steps = [[step for step, _ in run.media()] for run in runs]
    options = common([own if kept else () for own, kept in zip(exhibits, steps, strict=True)])
    if not options:
        st.markdown("No two of them stored pictures of one kind.")
        return
    named = {f"{kind(one)}: {', '.join(words(name) for name in one.names)}": one for one in options}
    chosen = list(named)[0]
    if len(named) > 1:
        chosen = st.segmented_control(
            "Exhibit", list(named), default=chosen, required=True, key="exhibit", bind="query-params"
        )
    exhibit = named[chosen]
    shows = [exhibit in own for own in exhibits]
    frames = aligned([kept if there else [] for kept, there in zip(steps, shows, strict=True)])
    columns = [
        {"label": label, "colour": colour_of(place),
         "address": f"/api/runs/{run.id}/cells/{own.index(exhibit)}/" if there else ""}
        for place, (run, label, own, there) in enumerate(zip(runs, labels(runs), exhibits, shows, strict=True))
    ]  # fmt: skip
    wanted = st.query_params.get("step", "")
    at = matrix(
        columns, [words(name) for name in drawn(exhibit)], frames, int(wanted) if wanted.isdecimal() else None,
        key=f"matrix-{exhibit.names}",
    )  # fmt: skip
    if at != frames[-1][0] or wanted:
        st.query_params["step"] = str(at)
    st.caption(f"{exhibit.says} Each run shows its stored step nearest to the slider's. Click a picture to enlarge it.")


def kind(exhibit: Exhibit) -> str:
    return type(exhibit).__name__


def drawn(exhibit: Exhibit) -> tuple[str, ...]:
    """The names that have tiles of their own: boxes are drawn on the first name's pictures, others stand beside."""
    return exhibit.names[1:] if isinstance(exhibit, Boxes) else exhibit.names


def common(exhibits: Sequence[Sequence[Exhibit]]) -> list[Exhibit]:
    """The exhibits drawn as pictures that two runs or more have."""
    every = list(dict.fromkeys(one for own in exhibits for one in own if isinstance(one, PICTURES)))
    return [one for one in every if sum(one in own for own in exhibits) > 1]
