"""A run's time machine: one slider over the stored steps moves curves, pictures and the map of test images together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from engine import files
from engine.method import Curves, Exhibit
from lab import timeline
from lab.components.scrub import scrub
from lab.figures import PICTURES
from lab.film import film
from lab.parts.embedding import OVER
from lab.parts.exhibit import is_dark, show
from lab.parts.links import link
from lab.pictures import COLOURS
from lab.plots import short, shorter, smooth, thin
from lab.runs import Run

PAUSE = 600
"""Milliseconds from one stored step to the next when it plays: time enough to follow points."""


def time_machine(run: Run, exhibits: Sequence[Exhibit], numbers: Mapping[str, np.ndarray]) -> None:
    """Curves, map and pictures under one slider; below them the other figures at the step where it was let go."""
    stops, stored, address = timeline.stops(run), run.media(), f"/api/runs/{run.id}"
    kinds = list(enumerate(exhibits))
    shown = [(place, one) for place, one in kinds if isinstance(one, PICTURES)] if stored else []
    drawn, dark = [(step, files.stamp(path)) for step, path in stored] or [(0, "")], int(is_dark())
    frames = []
    for step in stops:
        there, stamp = ([one for one in drawn if one[0] <= step] or drawn[:1])[-1]
        query = f"?dark={dark}&stamp={stamp}"
        frames.append((f"step {step:,}", [f"{address}/figures/{place}/{there}{query}" for place, _ in shown]))
    curves = [
        curve(one, numbers) | {"script": f"{address}/script/{place}"}
        for place, one in kinds
        if isinstance(one, Curves) and numbers.keys() & set(one.names)
    ]
    plane = {
        "url": f"{address}/map?stamp={timeline.stamp(run.folder)}",
        "thumbnails": f"{address}/thumbnails?stamp={files.stamp(run.folder / timeline.POINTS)}",
        "says": timeline.MAP.says, "script": f"{address}/script/map",
    }  # fmt: skip
    at = scrub(
        frames, key=f"scrub-{run.id}", pause=PAUSE, steps=stops, curves=curves,
        pictures=[{"says": one.says, "script": f"{address}/script/{place}"} for place, one in shown],
        map=plane if timeline.course_of(run.folder) else None,
        newest=int(max((points[-1, 0] for points in numbers.values() if points.ndim == 2), default=0)),
    )  # fmt: skip
    rest = [one for one in exhibits if not isinstance(one, (Curves, *PICTURES))]
    if rest and stops:
        values = timeline.values_at(run, exhibits, stops[at])
        show([one for one in rest if values.keys() >= set(one.names)], values, f"{run.id}-kept")


def curve(exhibit: Exhibit, numbers: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """An exhibit's lines as the browser draws them: thinned so that spikes stay, long ones with their running mean.

    What only an evaluation reports is left out until the first.
    """
    lines = []
    for i, (name, said) in enumerate(shorter(exhibit.names).items()):
        if name not in numbers:
            continue
        points = thin(numbers[name][np.isfinite(numbers[name]).all(1)])
        line = {"name": said, "colour": COLOURS[i % len(COLOURS)], "at": points[:, 0].astype(int).tolist(),
                "value": short(points[:, 1])}  # fmt: skip
        lines.append(line | ({"mean": short(smooth(points[:, 1]))} if len(points) > 100 else {}))
    return {"says": exhibit.says, "lines": lines}


def film_button(run: Run) -> None:
    """The time machine to take along; drawn when somebody asks for it."""
    if len(timeline.stops(run)) < 2:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            "Film (GIF)", partial(film, run, dark=is_dark()), f"run-{run.id}.gif", "image/gif",
            key=f"film-{run.id}", on_click="ignore", icon=":material/movie:",
            help="The time machine as an animation; it takes some seconds to draw.",
        )  # fmt: skip
        st.markdown(f":gray[as a command:] `visionarium runs film {run.id} --out run.gif`", width="content")
        if timeline.course_of(run.folder) is not None:
            link("map", "On the embedding map", query={"model": run.id, "other": OVER}, icon=":material/scatter_plot:")
