"""The cells of a sweep as plots: a line for one knob, a heat map for two, lines through all knobs from three on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lab.pictures import COLOURS, HEAT, words
from lab.plots import Plot
from lab.runs.cells import Cell, best
from lab.runs.grid import Grid, as_word

INK, PAPER, FAILED, GREY = "#1d1c1a", "#fbfaf7", "#d14b40", "#8a8a86"
WIDE, ROOM = (40, 120), 980
"""The narrowest and widest cell, and what there is for all cells in a row, in pixels."""
WORDED = 56
"""The narrowest cell that has room for its words."""


def digits(numbers: Sequence[float]) -> int:
    """Places after the point at which the numbers can be told apart: two beyond the size of their range."""
    spread = max(numbers) - min(numbers) if numbers else 0.0
    size = spread or abs(numbers[0] if numbers else 1.0) or 1.0
    return min(6, max(0, 1 - math.floor(math.log10(size))))


def shade(share: float) -> str:
    """A colour from dark (0) to bright (1), even in lightness, so that it can be read without seeing hues."""
    at = min(max(share, 0.0), 1.0) * (len(HEAT) - 1)
    low = min(int(at), len(HEAT) - 2)
    mixed = [round(a + (at - low) * (b - a)) for a, b in zip(HEAT[low], HEAT[low + 1], strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def goodness(found: Sequence[Cell], higher: bool) -> list[float | None]:
    """How good each cell is among all, from 0 (the worst) to 1; None where there is no figure yet."""
    means = [cell.mean for cell in found if cell.mean is not None]
    low, high = (min(means), max(means)) if means else (0.0, 0.0)
    shares = [None if cell.mean is None else (cell.mean - low) / (high - low) if high > low else 1.0 for cell in found]
    return [share if share is None or higher else 1 - share if high > low else 1.0 for share in shares]


def said(cell: Cell, places: int) -> tuple[str, str]:
    """What stands in a cell: its figure or what it is doing, and a smaller line below."""
    seeds = len(cell.states)
    done = f"{len(cell.figures)} of {seeds}" if seeds > 1 else ""
    busy = f"{cell.progress:.0%}" if cell.state in ("running", "pausing", "cancelling") else cell.state
    if cell.mean is None:
        return ("" if busy == "done" else busy), ("no figure" if busy == "done" else done)
    spread = f"± {cell.deviation:.{places}f}" if len(cell.figures) > 1 else ""
    return f"{cell.mean:.{places}f}", spread if cell.state == "done" else busy


def told(found: Sequence[Cell], figure: str) -> dict[str, list[Any]]:
    """What the pointer shows of each cell."""
    return {
        "runs": [", ".join(run.id for run in cell.runs if run) for cell in found],
        "state": [cell.state for cell in found],
        "seeds done": [f"{len(cell.figures)} of {len(cell.states)}" for cell in found],
        "cause": [cell.cause or "none" for cell in found],
        words(figure): [None if cell.mean is None else f"{cell.mean:.5g}" for cell in found],
        "link": [next((f"/run?id={run.id}" for run in cell.runs if run), "") for cell in found],
    }


def tooltip(grid: Grid, found: Sequence[Cell], figure: str) -> list[dict[str, Any]]:
    shown = [*(f"knob {name}" for name in grid), words(figure), "seeds done", "state"]
    shown += ["cause"] if any(cell.cause for cell in found) else []
    return [{"field": name, "title": name.removeprefix("knob ").replace("_", " "), "type": "nominal"} for name in shown]


def heat_map(found: Sequence[Cell], grid: Grid, figure: str, higher: bool) -> Plot:
    """The first knob down, the second across; a third and a fourth make maps side by side and under one another.

    Brighter is better; the best cell has a ring. Cells that are not done say what they do, failed ones why.
    """
    down, across, *others = grid
    first, places = best(found, higher), digits([cell.mean for cell in found if cell.mean is not None])
    fills = [None if share is None else shade(share) for share in goodness(found, higher)]
    labels = [said(cell, places) for cell in found]
    column = [list(grid[across]).index(cell.place[across]) for cell in found]
    row = [list(grid[down]).index(cell.place[down]) for cell in found]
    rows: dict[str, list[Any]] = {
        "x": column, "x2": [x + 1 for x in column], "y": row, "y2": [y + 1 for y in row],
        "middle": [x + 0.5 for x in column], "under": [y + 0.7 for y in row],
        "centre": [y + (0.42 if note else 0.52) for y, (_, note) in zip(row, labels, strict=True)],
        "reached": [x + cell.progress for x, cell in zip(column, found, strict=True)],
        "fill": fills, "label": [one for one, _ in labels], "note": [two for _, two in labels],
        "ink": ["page" if fill is None else INK if light(fill) else PAPER for fill in fills],
        "best": [cell is first for cell in found],
        **{f"knob {name}": [as_word(cell.place[name]) for cell in found] for name in grid}, **told(found, figure),
    }  # fmt: skip
    maps = len(grid[others[0]]) if others else 1
    wide = max(WIDE[0], min(WIDE[1], ROOM // (maps * len(grid[across]))))
    tall = 72 if wide > 100 else 58 if wide >= WORDED else 40
    spec: dict[str, Any] = {
        "width": wide * len(grid[across]), "height": tall * len(grid[down]),
        "encoding": {"x": place("x", across, grid), "y": place("y", down, grid), "href": {"field": "link"},
                     "tooltip": tooltip(grid, found, figure)},
        "layer": map_layers(wide),
    }  # fmt: skip
    if others:
        facets = {}
        for way, name in zip(("column", "row"), others, strict=False):
            heads = {value: f"{words(name)} {as_word(value)}" for value in grid[name]}
            rows[way] = [heads[cell.place[name]] for cell in found]
            facets[way] = {"field": way, "type": "nominal", "title": None, "sort": list(heads.values())}
        spec = {"facet": facets, "spec": spec}
    return Plot(spec | {"autosize": "pad"}, rows, maps * wide * len(grid[across]))


def light(code: str) -> bool:
    """Whether black is easier to read on this colour than white."""
    red, green, blue = (int(code[i : i + 2], 16) for i in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue > 140


def place(way: str, knob: str, grid: Grid) -> dict[str, Any]:
    """An axis on which value number i of a knob takes the place from i to i + 1."""
    count, names = len(grid[knob]), [as_word(value) for value in grid[knob]]
    return {
        "field": way, "type": "quantitative", "title": words(knob),
        "scale": {"domain": [0, count] if way == "x" else [count, 0], "nice": False, "zero": False},
        "axis": {"values": [i + 0.5 for i in range(count)], "labelExpr": f"{names!r}[floor(datum.value)]",
                 "grid": False, "ticks": False, "domain": False, "labelLimit": 160, "labelOverlap": False},
    }  # fmt: skip


def map_layers(wide: int) -> list[dict[str, Any]]:
    """The cell, how far it is, its words, the ring of the best."""
    box: dict[str, Any] = {"x2": {"field": "x2"}, "y2": {"field": "y2"}}
    middle, centre, under = ({"field": name, "type": "quantitative"} for name in ("middle", "centre", "under"))
    at = {"fill": {"field": "fill", "type": "nominal", "scale": None}}
    ink: dict[str, Any] = {"color": {"condition": [
        {"test": "datum.state === 'failed' || datum.state === 'lost'", "value": FAILED},
        {"test": "datum.ink !== 'page'", "field": "ink", "type": "nominal", "scale": None}],
        "value": "gray"}}  # fmt: skip
    outline = {"type": "rect", "fillOpacity": 0, "stroke": "gray", "strokeOpacity": 0.45, "cursor": "pointer"}
    layers: list[dict[str, Any]] = [
        {"mark": outline | inset(3), "encoding": box},
        {"transform": [{"filter": "datum.fill !== null"}], "mark": {"type": "rect", "cursor": "pointer"} | inset(3),
         "encoding": box | at},
        {"transform": [{"filter": "datum.state === 'running'"}],
         "mark": {"type": "rule", "stroke": COLOURS[0], "strokeWidth": 5, "yOffset": -6, "xOffset": 3},
         "encoding": {"x2": {"field": "reached"}, "y": {"field": "y2", "type": "quantitative"}}},
        {"transform": [{"filter": "datum.best"}],
         "mark": {"type": "rect", "fillOpacity": 0, "stroke": COLOURS[0], "strokeWidth": 4, "cursor": "pointer"},
         "encoding": box},
    ]  # fmt: skip
    if wide >= WORDED:
        layers += [
            {"mark": {"type": "text", "fontSize": 15, "fontWeight": 500, "cursor": "pointer"},
             "encoding": {"x": middle, "y": centre} | ink | {"text": {"field": "label"}}},
            {"mark": {"type": "text", "fontSize": 12, "cursor": "pointer"},
             "encoding": {"x": middle, "y": under} | ink | {"text": {"field": "note"}}},
        ]  # fmt: skip
    return layers


def inset(by: int) -> dict[str, int]:
    """Mark properties that leave a gap around a cell."""
    return {"xOffset": by, "x2Offset": -by, "yOffset": by, "y2Offset": -by}


def line(found: Sequence[Cell], grid: Grid, figure: str, higher: bool) -> Plot:
    """The figure over one knob: each run a dot, means joined, one standard deviation as a band."""
    (knob,) = grid
    numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in grid[knob])
    first = best(found, higher)
    rows: dict[str, list[Any]] = {name: [] for name in ("at", "mean", "low", "high", "figure", "best", "link")}
    for cell in found:
        at = cell.place[knob] if numeric else as_word(cell.place[knob])
        runs = [run for run, state in zip(cell.runs, cell.states, strict=True) if run and state == "done"]
        points = [(None, number, f"/run?id={run.id}") for number, run in zip(cell.figures, runs, strict=False)]
        for mean, number, link in [(cell.mean, None, ""), *points]:
            rows["at"].append(at)
            rows["mean"].append(mean)
            rows["low"].append(None if mean is None else mean - cell.deviation)
            rows["high"].append(None if mean is None else mean + cell.deviation)
            rows["figure"].append(number)
            rows["best"].append(mean is not None and cell is first)
            rows["link"].append(link)
    if numeric:
        low, high = min(grid[knob]), max(grid[knob])
        scale = {"type": "log"} if low > 0 and high / low >= 30 else {"zero": False}
        x: dict[str, Any] = {
            "type": "quantitative",
            "scale": scale,
            "axis": {"grid": False, "values": list(grid[knob])},
        }
    else:
        x = {"type": "ordinal", "sort": [as_word(value) for value in grid[knob]], "axis": {"labelAngle": 0}}
    means = [{"filter": "datum.mean !== null"}]
    y = {"type": "quantitative", "scale": {"zero": False}, "title": words(figure)}
    layers: list[dict[str, Any]] = [
        {"transform": means, "mark": {"type": "area" if numeric else "rule", "opacity": 0.25, "color": COLOURS[0]}
         | ({} if numeric else {"strokeWidth": 14}),
         "encoding": {"y": y | {"field": "low"}, "y2": {"field": "high"}}},
        {"transform": means, "mark": {"type": "line" if numeric else "tick", "strokeWidth": 2.4, "color": COLOURS[0]}
         | ({} if numeric else {"thickness": 4, "size": 40}), "encoding": {"y": y | {"field": "mean"}}},
        {"transform": [{"filter": "datum.figure !== null"}],
         "mark": {"type": "circle", "size": 70, "opacity": 0.8, "color": COLOURS[0], "cursor": "pointer"},
         "encoding": {"y": y | {"field": "figure"}, "href": {"field": "link"},
                      "tooltip": [{"field": "at", "title": words(knob)}, {"field": "figure", "format": ".5g"}]}},
        {"transform": [{"filter": "datum.best"}],
         "mark": {"type": "point", "size": 420, "strokeWidth": 3, "color": COLOURS[1]},
         "encoding": {"y": y | {"field": "mean"}}},
    ]  # fmt: skip
    return Plot({"height": 380, "encoding": {"x": {"field": "at", "title": words(knob)} | x}, "layer": layers}, rows)


def parallel(
    found: Sequence[Cell], grid: Grid, figure: str, higher: bool, dark: bool = False, kept: Sequence[bool] = ()
) -> Plot:
    """Each cell with a figure as a line through the values of all knobs, to its figure; the best is thick.

    kept: which cells count (all, when empty); the others are grey, behind them, and never the best.
    """
    kept = kept or [True] * len(found)
    first, share = best([cell for cell, keep in zip(found, kept, strict=True) if keep], higher), goodness(found, higher)
    means = [cell.mean for cell in found if cell.mean is not None]
    low, high = (min(means), max(means)) if means else (0.0, 1.0)
    faintest = 0.38 if dark else 0.12
    names = [*map(words, grid), words(figure)]
    rows: dict[str, list[Any]] = {
        name: [] for name in ("kind", "cell", "axis", "at", "word", "colour", "best", "kept", "link", "all")
    }

    def put(*values: Any) -> None:
        for name, value in zip(rows, values, strict=True):
            rows[name].append(value)

    for knob, values in grid.items():
        for i, value in enumerate(values):
            put("tick", -1, words(knob), spot(i, len(values)), as_word(value), "", False, True, "", "")
    for number in (low, high) if means else ():
        at = (number - low) / (high - low) if high > low else 0.5
        put("tick", -1, names[-1], at, f"{number:.{digits(means)}f}", "", False, True, "", "")
    for i in sorted(range(len(found)), key=lambda i: kept[i]):  # the later is drawn over the earlier
        cell = found[i]
        if cell.mean is None:
            continue
        whole = ", ".join(f"{words(name)} {as_word(value)}" for name, value in cell.place.items())
        link = next((f"/run?id={run.id}" for run in cell.runs if run), "")
        points = {words(knob): spot(list(values).index(cell.place[knob]), len(values)) for knob, values in grid.items()}
        points[names[-1]] = (cell.mean - low) / (high - low) if high > low else 0.5
        for name, at in points.items():
            word = f"{cell.mean:.5g}"
            colour = shade(faintest + 0.6 * (share[i] or 0.0)) if kept[i] else GREY
            put("line", i, name, at, word, colour, cell is first, kept[i], link, whole)
    return Plot({"height": 360, "encoding": parallel_places(names), "layer": parallel_layers(figure, dark)}, rows)


def spot(i: int, count: int) -> float:
    """Where value i of `count` lies on its axis."""
    return i / (count - 1) if count > 1 else 0.5


def parallel_places(names: Sequence[str]) -> dict[str, Any]:
    across = {"labelAngle": 0, "domain": False, "ticks": False, "orient": "top", "grid": True, "gridOpacity": 0.5,
              "labelFontWeight": 600, "labelPadding": 14}  # fmt: skip
    return {
        "x": {"field": "axis", "type": "ordinal", "sort": list(names), "title": None, "axis": across,
              "scale": {"type": "point", "padding": 0.4}},
        "y": {"field": "at", "type": "quantitative", "axis": None, "scale": {"domain": [-0.03, 1.03], "nice": False}},
    }  # fmt: skip


def parallel_layers(figure: str, dark: bool) -> list[dict[str, Any]]:
    lines, ticks = [{"filter": "datum.kind === 'line'"}], [{"filter": "datum.kind === 'tick'"}]
    word = {"type": "text", "align": "right", "dx": -12, "fontSize": 14}
    seen: Mapping[str, Any] = {"param": "seen", "empty": False}
    tips = [{"field": "all", "title": "knobs"}, {"field": "word", "title": words(figure)}]
    colour = {"color": {"field": "colour", "type": "nominal", "scale": None}, "detail": {"field": "cell"}}
    width = {"condition": [{**seen, "value": 6}, {"test": "datum.best", "value": 5}], "value": 1.8}
    faint: dict[str, Any] = {"condition": [{"test": "!datum.kept", "value": 0.14}, {**seen, "value": 1},
                                           {"test": "datum.best", "value": 1}], "value": 0.55}  # fmt: skip
    return [
        {"transform": lines, "mark": {"type": "line", "strokeCap": "round"},
         "encoding": colour | {"strokeWidth": width, "opacity": faint}},
        {"transform": [*lines, {"filter": "datum.kept"}],
         "mark": {"type": "point", "filled": True, "size": 90, "cursor": "pointer"},
         "params": [{"name": "seen", "select": {"type": "point", "on": "pointerover", "clear": "pointerout",
                                                "fields": ["cell"], "nearest": True}}],
         "encoding": colour | {"href": {"field": "link"}, "tooltip": tips, "opacity": faint}},
        {"transform": ticks, "mark": word | {"stroke": "#151514" if dark else PAPER, "strokeWidth": 7,
                                             "strokeJoin": "round"}, "encoding": {"text": {"field": "word"}}},
        {"transform": ticks, "mark": word, "encoding": {"text": {"field": "word"}}},
    ]  # fmt: skip
