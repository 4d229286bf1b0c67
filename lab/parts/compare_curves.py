"""Every number that two runs share, their curves over one another, and where each came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import streamlit as st

from engine.method import Curves
from lab.figures import plain
from lab.parts.compare import colour_of
from lab.parts.exhibit import legend, show_figure
from lab.pictures import COLOURS, words
from lab.plots import POINTS, Plot, thin
from lab.runs import Run
from lab.runs.compare import Columns, Over, columns, curve, epoch_steps, labels, running_mean, shared, summary
from lab.runs.state import LIVE

BUDGET = 10_000
"""Points that are drawn on a page."""


def curves(runs: Sequence[Run]) -> None:
    """The curves, drawn again while a run lives."""
    live = any(run.state in LIVE for run in runs)
    st.fragment(_curves, run_every=2.0 if live else None)(runs)


def _curves(runs: Sequence[Run]) -> None:
    series, names = [columns(run) for run in runs], labels(runs)
    numbers = shared(series)
    if not numbers:
        st.markdown("No number was reported by two of them.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        axes: list[Over] = ["step", "epoch", "wall clock"]
        over = st.segmented_control("Along", axes, default="step", required=True, key="along", bind="query-params")
        window = st.slider(
            "Smoothing", 1, 201, 17, 4, key="smoothing", bind="query-params", width=320, format="%d points",
            help="The mean over so many neighbouring points, but no more than a tenth of a curve; the raw numbers stay "
            "faintly visible. 1: none.",
        )  # fmt: skip
    epochs = [epoch_steps(run.plan) for run in runs]
    if over == "epoch" and (unknown := [name for name, one in zip(names, epochs, strict=True) if one is None]):
        st.caption(
            f"Not drawn, because their knobs do not tell how many steps make an epoch: {', '.join(unknown)}. Known are "
            "runs with a batch, on data whose number of pictures is known."
        )
    unit, size = clock(series) if over == "wall clock" else (over, 1.0)
    most = max(60, min(POINTS, BUDGET // (len(runs) * len(numbers))))
    grid = st.columns(2, gap="large") if len(numbers) > 1 else [st.container()]
    for place, number in enumerate(numbers):
        found = {
            i: curve(one, number, over, epoch) / (size, 1)
            for i, (one, epoch) in enumerate(zip(series, epochs, strict=True))
            if over != "epoch" or epoch is not None
        }
        found = {i: points for i, points in found.items() if len(points)}
        if not found:
            continue
        with grid[place % len(grid)], st.container(key=f"exhibit-compared-{place}", gap="xsmall"):
            st.markdown(f"**{words(number)}**")
            show_figure(overlaid(found, names, unit, window, most), number, f"compared-{place}")
            labelled = {names[i]: points for i, points in found.items()}
            legend(Curves(tuple(labelled), "", over=unit), labelled, f"compared-{place}")
    st.dataframe(ends(series, names, numbers), hide_index=True, alt="where each number came to")


def clock(series: Sequence[Columns]) -> tuple[str, float]:
    """The unit in which all wall clocks are told, and its seconds."""
    longest = max((one.seconds[-1] for one in series if len(one.seconds)), default=0.0)
    return ("hours", 3600.0) if longest > 7200 else ("minutes", 60.0) if longest > 120 else ("seconds", 1.0)


def overlaid(found: Mapping[int, np.ndarray], names: Sequence[str], over: str, window: int, most: int = POINTS) -> Plot:
    """Curves (N, 2) by the place of their run, in its colour: raw and faint, their running mean on top."""
    rows: dict[str, list] = {"at": [], "value": [], "mean": [], "name": []}
    for i, points in found.items():
        points = points[np.argsort(points[:, 0], kind="stable")]
        smooth = running_mean(points[:, 1], min(window, len(points) // 10))
        drawn = thin(np.column_stack([points, smooth]), most)
        for column, values in zip(("at", "value", "mean"), drawn.T.tolist(), strict=True):
            rows[column] += values
        rows["name"] += [names[i]] * len(drawn)
    scale = {"domain": list(names), "range": [colour_of(i) for i in range(len(names))]}
    dashes = {"domain": list(names), "range": [[1, 0] if i < len(COLOURS) else [6, 3] for i in range(len(names))]}
    few = max(map(len, found.values())) < 3
    encoding = {
        "x": {"field": "at", "type": "quantitative", "title": over, "axis": {"grid": False, "tickCount": 8},
              "scale": {"nice": False}},
        "y": {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False}},
        "color": {"field": "name", "type": "nominal", "scale": scale, "legend": None},
        "tooltip": [{"field": "name", "title": "run"}, {"field": "at", "title": over, "format": ",.6~g"},
                    {"field": "value", "format": ".4g"}],
    }  # fmt: skip
    if len(names) > len(COLOURS):
        encoding["strokeDash"] = {"field": "name", "type": "nominal", "scale": dashes, "legend": None}
    mark = {"type": "point", "filled": True, "size": 70} if few else {"type": "line", "strokeWidth": 2.2}
    layers = [
        {"mark": {"type": "line", "strokeWidth": 1, "opacity": 0.3}},
        {"mark": mark, "encoding": {"y": {"field": "mean", "type": "quantitative"}}},
    ]
    return Plot({"height": 260, "encoding": encoding, "layer": layers}, rows)


def ends(series: Sequence[Columns], names: Sequence[str], numbers: Sequence[str]) -> dict[str, list]:
    """A table: of each number and run the last value, the lowest and the highest, and their steps."""
    table: dict[str, list] = {
        column: [] for column in ("number", "run", "last", "lowest", "at step", "highest", "at step ")
    }
    for number in numbers:
        for name, one in zip(names, series, strict=True):
            told = summary(curve(one, number, "step"))
            if told is not None:
                cells = (told.last, told.lowest, told.lowest_at, told.highest, told.highest_at)
                row = (words(number), name, *map(plain, cells))
                for column, cell in zip(table.values(), row, strict=True):
                    column.append(cell)
    return table
