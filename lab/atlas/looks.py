"""What is seen of an atlas: the columns by which points are coloured, selections, neighbours, sheets of thumbnails."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.ops.polygon import inside
from lab.atlas.atlas import Atlas, Plane
from lab.figures import jpeg
from lab.pictures import COLOURS, rgb, tile

TILE = 96
"""Pixels that a thumbnail is wide."""
MOST = 64
"""Thumbnails of a sheet."""
RAMP = ("#4a7fc1", "#8a62b8", "#c2507f", "#d9663a", "#e6a91c")
"""Colours of a scale from low to high, legible on light and dark paper."""
SCALE = 1000
"""Corners of a selection are whole numbers: SCALE at the edge of the square."""


def columns(atlas: Atlas, clusters: int) -> list[dict[str, Any]]:
    """What is known of each point. "values": (N,) small whole numbers; -1, or 255 in a byte, where nothing is known.

    Of classes, "names" and "colours" by number; of a scale, "low", "high" (at 0 and 254) and the "colours" from low to
    high.
    """
    found = atlas.features
    told = []
    if (found.labels >= 0).any():
        told.append(classes("label", found.labels, found.classes))
    if found.predictions is not None and found.entropy is not None:
        told.append(classes("prediction", found.predictions, found.answers))
        if found.judged:
            wrong = np.where(found.labels < 0, 255, found.predictions != found.labels).astype(np.uint8)
            named: dict[str, Any] = {"names": ["right", "wrong"], "colours": [COLOURS[0], COLOURS[1]]}
            told.append({"name": "error", "values": wrong} | named)
        high = math.log(max(2, len(found.answers)))
        level = np.clip(found.entropy / high * 254, 0, 254).round().astype(np.uint8)
        scale = {"low": 0.0, "high": round(high, 2), "colours": list(RAMP)}
        told.append({"name": "uncertainty", "values": level} | scale)
    groups = atlas.grouped(clusters)
    return [*told, classes("cluster", groups, [f"cluster {i + 1}" for i in range(int(groups.max()) + 1)])]


def classes(name: str, values: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """A column of classes."""
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(names))]
    return {"name": name, "values": values.astype(np.int16), "names": list(names), "colours": colours}


def packed(atlas: Atlas, clusters: int) -> bytes:
    """All columns as the browser reads them: the length of a header in four bytes, the header (JSON), the values."""
    told = sorted(columns(atlas, clusters), key=lambda column: -column["values"].itemsize)  # so that all are aligned
    order = [column["name"] for column in columns(atlas, clusters)]
    plain = [{key: value for key, value in column.items() if key != "values"} | {"bytes": column["values"].itemsize}
             for column in told]  # fmt: skip
    header = {"count": len(atlas), "columns": plain, "order": order, "says": atlas.says, "tile": TILE}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    values = b"".join(column["values"].astype(column["values"].dtype.newbyteorder("<")).tobytes() for column in told)
    return len(text).to_bytes(4, "little") + text + values


def polygons(told: str) -> list[np.ndarray]:
    """Loops as an address has them: x_y_x_y~x_y_x_y, in thousandths of the square. ValueError: it cannot be."""
    try:
        loops = [np.array([int(number) for number in loop.split("_")], float) for loop in told.split("~") if loop]
        return [loop.reshape(-1, 2) / SCALE for loop in loops]
    except ValueError:
        raise ValueError(f"selection: {told[:40]!r} is none; draw it again") from None


def selected(plane: Plane, told: str) -> np.ndarray:
    """(N,) bool: which points lie in any of the loops."""
    chosen = np.zeros(len(plane.places), bool)
    for loop in polygons(told):
        chosen |= inside(plane.drawn, loop)
    return chosen


def table(atlas: Atlas, rows: np.ndarray, clusters: int) -> str:
    """What is known of some pictures as CSV."""
    found = atlas.features
    there: dict[str, Sequence[Any]] = {"picture": atlas.positions[rows].tolist()}
    named = lambda values, names: [names[i] if 0 <= i < len(names) else "" for i in values[rows].tolist()]  # noqa: E731
    if (found.labels >= 0).any():
        there["label"] = named(found.labels, found.classes)
    if found.predictions is not None and found.confidence is not None and found.entropy is not None:
        there["prediction"] = named(found.predictions, found.answers)
        there["confidence"] = [f"{value:.4f}" for value in found.confidence[rows].tolist()]
        there["entropy"] = [f"{value:.4f}" for value in found.entropy[rows].tolist()]
    there["cluster"] = (atlas.grouped(clusters)[rows] + 1).tolist()
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([there, *zip(*there.values(), strict=True)])
    return file.getvalue()


def neighbours(atlas: Atlas, row: int, count: int, metric: str = "euclidean") -> tuple[list[int], list[float]]:
    """The rows nearest to a picture by features, nearest first, and their distances (cosine: 1 minus the cosine)."""
    rows = atlas.features.features
    if not 0 <= row < len(rows):
        raise ValueError(f"picture: expected 0 to {len(rows) - 1}, got {row}")
    if metric == "cosine":
        length = np.maximum(np.sqrt(np.einsum("nd,nd->n", rows, rows)), 1e-12)
        away = 1 - rows @ rows[row] / (length * length[row])
    else:
        difference = rows - rows[row]
        away = np.sqrt(np.einsum("nd,nd->n", difference, difference))
    away[row] = np.inf
    count = min(count, len(rows) - 1)
    near = np.argpartition(away, count - 1)[:count] if count else np.empty(0, int)
    near = near[np.argsort(away[near], kind="stable")]
    return near.tolist(), [round(float(value), 4) for value in away[near]]


def sheet(atlas: Atlas, rows: Sequence[int]) -> bytes:
    """Thumbnails beside one another in one picture (JPEG)."""
    from PIL import Image

    rows = list(rows)[:MOST]
    if not rows or not all(0 <= row < len(atlas) for row in rows):
        raise ValueError(f"rows: expected numbers from 0 to {len(atlas) - 1}, got {rows[:5]}")
    strip = Image.new("RGB", (TILE * len(rows), TILE))
    for i, row in enumerate(rows):
        strip.paste(tile(rgb(atlas.features.thumbnails[row]), TILE), (i * TILE, 0))
    return jpeg(strip)


def grouped_by(atlas: Atlas, colour: str, clusters: int) -> tuple[np.ndarray, list[str]]:
    """Integers (N,) and their names for a drawing that is coloured by a column; a scale in five steps."""
    for column in columns(atlas, clusters):
        if column["name"] == colour:
            if "names" in column:
                return column["values"].astype(np.int64), column["names"]
            step = column["high"] / 5
            return column["values"] // 51, [f"{i * step:.2f} to {(i + 1) * step:.2f} nats" for i in range(5)]
    raise ValueError(f"colour: there is none called {colour!r} here")
