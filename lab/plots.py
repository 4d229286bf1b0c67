"""Plot kinds of exhibits as Vega-Lite specifications: the page shows them live, a converter turns them into PNG."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from lab.pictures import COLOURS, rgb, words

POINTS, THUMBNAILS, STAMPS, BINS, MARK = 400, 1000, 60, 30, 2
"""Points of a curve; of a scatter, those with a picture under the pointer, and those drawn as one where places are
measured; bins of a histogram; width of a marking line."""


@dataclass(frozen=True)
class Plot:
    """A Vega-Lite `spec` without its data; its `rows`: column -> values; its width in pixels, 0 for all there is.

    mark: where its last layer draws an upright line, as a share of the way across; None: nowhere.
    """

    spec: dict[str, Any]
    rows: dict[str, list[Any]]
    width: int = 0
    mark: float | None = None

    def unmarked(self) -> Plot:
        """The same without that line."""
        return (
            self if self.mark is None else replace(self, spec=self.spec | {"layer": self.spec["layer"][:-1]}, mark=None)
        )

    def whole(self, dark: bool = False) -> dict[str, Any]:
        """The specification with its data and style, for drawing outside the page."""
        values = [dict(zip(self.rows, row, strict=True)) for row in zip(*self.rows.values(), strict=True)]
        return self.spec | {
            "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "data": {"values": values},
            "width": self.width or 720,
            "autosize": {"type": "fit", "contains": "padding"},
            "background": "#151514" if dark else "#fbfaf7",
            "config": style(dark),
        }


def style(dark: bool) -> dict[str, Any]:
    """Letters large and dark enough for the last row."""
    ink = "#f0ede6" if dark else "#1d1c1a"
    text = {"labelColor": ink, "titleColor": ink, "labelFontSize": 15, "titleFontSize": 15, "titleFontWeight": 400}
    return {
        "font": "IBM Plex Sans",
        "view": {"stroke": None},
        "legend": text | {"symbolStrokeWidth": 3},
        "header": text,
        "axis": text | {"gridColor": ink, "gridOpacity": 0.12, "domainColor": ink, "tickColor": ink},
        "title": {"color": ink, "fontSize": 16, "fontWeight": 600, "anchor": "start"},
        "text": {"color": ink, "fontSize": 14},
        "rule": {"color": ink},
    }


def shorter(names: Sequence[str]) -> dict[str, str]:
    """Names as a visitor reads them, without the part that all share before a slash."""
    shared = {name.partition("/")[0] for name in names}
    cut = len(names) > 1 and len(shared) == 1 and all("/" in name for name in names)
    return {name: words(name.partition("/")[2] if cut else name) for name in names}


def colours(names: Sequence[str]) -> dict[str, Any]:
    """A colour channel for the column "name", with a legend only when there is something to tell apart."""
    scale = {"domain": list(names), "range": [COLOURS[i % len(COLOURS)] for i in range(len(names))]}
    many = len(names) > 4
    legend = {"orient": "right" if many else "top", "title": None, "labelLimit": 260, "symbolOpacity": 1}
    return {"field": "name", "type": "nominal", "scale": scale, "legend": legend if len(names) > 1 else None}


def short(values: np.ndarray) -> list[float]:
    """Numbers to five digits."""
    return [float(f"{value:.5g}") for value in values.tolist()]


def thin(points: np.ndarray, most: int = POINTS) -> np.ndarray:
    """Points (N, 2 or more) thinned to about `most`: of each stretch the lowest and the highest, so spikes stay."""
    if len(points) <= most:
        return points
    kept = [np.arange(0)]
    for rows in np.array_split(np.arange(len(points)), most // 2):
        kept.append(np.unique(rows[[points[rows, 1].argmin(), points[rows, 1].argmax()]]))
    return points[np.concatenate(kept)]


def smooth(numbers: np.ndarray) -> np.ndarray:
    """The running mean over 17 points; a short series is left as it is."""
    if len(numbers) <= 100:
        return numbers
    window = np.ones(17)
    return np.convolve(numbers, window, "same") / np.convolve(np.ones(len(numbers)), window, "same")


def curves(names: Sequence[str], values: Mapping[str, Any], over: str = "step", mark: str = "") -> Plot:
    """Each value is (N,) or (N, 2): position along `over`, and number. Long curves are drawn faintly, their running
    mean on top. mark: the name of the position at which an upright line is drawn."""
    rows: dict[str, list[Any]] = {"at": [], "value": [], "mean": [], "name": []}
    longest, shown = 0, shorter(names)
    for name in names:
        points = np.asarray(values[name], np.float64)
        if points.ndim < 2:
            points = np.stack([np.arange(1, points.size + 1), points.ravel()], 1)
        points = thin(points[np.isfinite(points).all(-1)])
        rows["at"] += points[:, 0].tolist()
        rows["value"] += points[:, 1].tolist()
        rows["mean"] += smooth(points[:, 1]).tolist()
        rows["name"] += [shown[name]] * len(points)
        longest = max(longest, len(points))
    mean = {"y": {"field": "mean", "type": "quantitative"}}
    kind = {"type": "point", "filled": True, "size": 70} if longest < 2 else {"type": "line", "strokeWidth": 2.4}
    title = words(names[0]) if len(names) == 1 else None
    whole = all(float(at).is_integer() for at in rows["at"])
    bare = {"grid": False, "tickCount": 8} | ({"tickMinStep": 1} if whole else {})  # nothing lies between two steps
    encoding: dict[str, Any] = {
        "x": {"field": "at", "type": "quantitative", "title": over, "axis": bare, "scale": {"nice": False}},
        "y": {"field": "value", "type": "quantitative", "title": title, "scale": {"zero": False}},
        "color": colours(list(shown.values())),
        "tooltip": [
            {"field": "name", "title": "curve"},
            {"field": "at", "title": over},
            {"field": "value", "format": ".4g"},
        ],
    }
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "line", "strokeWidth": 1, "opacity": 0.3}}, {"mark": kind, "encoding": mean}
    ]  # fmt: skip
    share = None
    if mark:
        low, high = min(rows["at"]), max(rows["at"])
        encoding["x"]["scale"] |= {"domain": [low, high], "zero": False}
        share = min(1.0, max(0.0, (float(values[mark]) - low) / ((high - low) or 1.0)))
        here = {"x": {"datum": low + share * (high - low)}, "y": None, "color": None, "tooltip": None}
        layers.append({"mark": {"type": "rule", "strokeWidth": MARK}, "encoding": here})
    spec = {"height": max(300, 24 * len(names) + 40), "encoding": encoding, "layer": layers}
    return Plot(spec, rows, mark=share)


def scatter(names: Sequence[str], values: Mapping[str, Any], axes: Sequence[str] = ()) -> Plot:
    """Points (N, 2), coloured by labels, their pictures shown under the pointer; `axes` name what the places mean."""
    points = np.asarray(values[names[0]], np.float64)
    labels = np.asarray(values[names[1]]).astype(int) if len(names) > 1 else np.zeros(len(points), int)
    classes = list(values.get("classes", ()))
    said = [classes[label] if 0 <= label < len(classes) else str(label) for label in labels.tolist()]
    order = [said[int(np.flatnonzero(labels == label)[0])] for label in np.unique(labels)]
    rows: dict[str, list[Any]] = {"x": points[:, 0].tolist(), "y": points[:, 1].tolist(), "name": said}
    tooltip = [{"field": "name", "title": "label"}]
    if len(names) > 2 and len(points) <= THUMBNAILS:
        rows["image"] = [data_url(picture) for picture in values[names[2]]]
        tooltip.append({"field": "image", "title": "image"})
    axis: dict[str, Any] = {"tickCount": 8} if axes else {"labels": False, "ticks": False, "grid": False}
    scale: dict[str, Any] = {"zero": False} | ({"padding": 24, "nice": False} if axes else {})
    titles = list(zip("xy", axes or (None, None), strict=True))
    kind = {"type": "quantitative", "axis": axis, "scale": scale}
    places: dict[str, Any] = {field: kind | {"field": field, "title": title} for field, title in titles}
    tooltip += [{"field": field, "title": title, "format": ".3g"} for field, title in titles if title]
    places |= {"color": colours(order), "tooltip": tooltip}
    spec: dict[str, Any] = {"mark": {"type": "circle", "size": 80, "opacity": 0.8}, "height": 480, "encoding": places}
    if axes and len(points) <= STAMPS and "image" in rows:
        picture = {"url": {"field": "image"}, "color": None}
        stamp = {"mark": {"type": "image", "width": 30, "height": 30}, "encoding": picture}
        frame = {"mark": {"type": "square", "size": 36**2, "opacity": 1}}
        spec = {"height": 480, "encoding": places, "layer": [frame, stamp]}
    return Plot(spec, rows, 860)


def data_url(picture: np.ndarray) -> str:
    """A picture (C, H, W) as a data URL."""
    file = io.BytesIO()
    Image.fromarray(rgb(picture)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def bars(names: Sequence[str], values: Mapping[str, Any]) -> Plot:
    """K bars a name; when the last name holds strings they label the bars."""
    *series, last = names
    named = len(values[last]) > 0 and isinstance(values[last][0], str)
    series = series if named else list(names)
    labels = [str(word) for word in values[last]] if named else [str(i) for i in range(len(values[series[0]]))]
    shown = shorter(series)
    rows: dict[str, list[Any]] = {
        "label": labels * len(series),
        "value": [float(value) for name in series for value in np.asarray(values[name]).ravel()],
        "name": [shown[name] for name in series for _ in labels],
    }
    encoding: dict[str, Any] = {
        "y": {"field": "label", "type": "nominal", "sort": labels, "title": None, "axis": {"labelLimit": 260}},
        "x": {
            "field": "value",
            "type": "quantitative",
            "title": words(series[0]) if len(series) == 1 else None,
            "axis": {"tickCount": 6},
        },
        "color": colours(list(shown.values())),
        "tooltip": [{"field": "label"}, {"field": "name"}, {"field": "value", "format": ".4g"}],
    }
    if len(series) > 1:
        encoding["yOffset"] = {"field": "name", "sort": list(shown.values())}
    return Plot({"mark": "bar", "height": {"step": 26 if len(series) == 1 else 14}, "encoding": encoding}, rows)


def histogram(names: Sequence[str], values: Mapping[str, Any]) -> Plot:
    """Shares of the values in common bins, one translucent shape a name."""
    arrays = {name: np.asarray(values[name], np.float64).ravel() for name in names}
    arrays = {name: array[np.isfinite(array)] for name, array in arrays.items()}
    edges = np.histogram_bin_edges(np.concatenate(list(arrays.values())), BINS)
    rows: dict[str, list[Any]] = {"from": [], "to": [], "share": [], "name": []}
    for name, array in arrays.items():
        counts, _ = np.histogram(array, edges)
        rows["from"] += edges[:-1].tolist()
        rows["to"] += edges[1:].tolist()
        rows["share"] += (counts / max(1, len(array))).tolist()
        rows["name"] += [words(name)] * len(counts)
    spec = {
        "mark": {"type": "bar", "opacity": 0.65 if len(names) > 1 else 0.9, "binSpacing": 0},
        "height": 240,
        "encoding": {
            "x": {"field": "from", "type": "quantitative", "bin": "binned", "title": words(names[0])
                  if len(names) == 1 else None},
            "x2": {"field": "to"},
            "y": {"field": "share", "type": "quantitative", "stack": None, "axis": {"format": "%"}, "title": "share"},
            "color": colours([words(name) for name in names]),
            "tooltip": [{"field": "name"}, {"field": "from", "format": ".3g"}, {"field": "share", "format": ".1%"}],
        },
    }  # fmt: skip
    return Plot(spec, rows)


def graph(names: Sequence[str], values: Mapping[str, Any]) -> Plot:
    """Nodes at (N, 2), edges (E, 2), N names."""
    places, edges, said = np.asarray(values[names[0]], np.float64), np.asarray(values[names[1]]), values[names[2]]
    ends = places[edges.astype(int)].reshape(-1, 4) if len(edges) else np.empty((0, 4))
    count, none = len(places), [None] * len(ends)
    rows: dict[str, list[Any]] = {
        "x": places[:, 0].tolist() + ends[:, 0].tolist(),
        "y": places[:, 1].tolist() + ends[:, 1].tolist(),
        "x2": [None] * count + ends[:, 2].tolist(),
        "y2": [None] * count + ends[:, 3].tolist(),
        "node": [str(word) for word in said] + none,
    }
    bare = {"type": "quantitative", "axis": None, "scale": {"zero": False, "padding": 30}}
    nodes = [{"filter": "datum.node !== null"}]
    layers = [
        {"transform": [{"filter": "datum.node === null"}], "mark": {"type": "rule", "opacity": 0.5},
         "encoding": {"x2": {"field": "x2"}, "y2": {"field": "y2"}}},
        {"transform": nodes, "mark": {"type": "circle", "size": 200, "opacity": 1, "color": COLOURS[0]}},
        {"transform": nodes, "mark": {"type": "text", "dy": -16}, "encoding": {"text": {"field": "node"}}},
    ]  # fmt: skip
    return Plot(
        {"height": 420, "encoding": {"x": {"field": "x"} | bare, "y": {"field": "y"} | bare}, "layer": layers},
        rows,
        860,
    )
