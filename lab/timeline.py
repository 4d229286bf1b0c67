"""A run over time, as pages and films need it: the map at every probe, the steps to stand on, and routes to them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from engine import files
from engine.method import Curves, Exhibit, Scatter
from engine.ops.plane import moving
from engine.record import media, probes, read_values
from lab import warm
from lab.figures import jpeg
from lab.keeping import keeping
from lab.pictures import COLOURS, rgb
from lab.redraw import script
from lab.runs import Run, find
from lab.runs.series import series_of

STEPS = 128
"""Probes of which a map is made: of more, so many at even distances, the last among them."""
FULL, ABSENT = 32_000, -32_768
"""Places are sent as whole numbers from -FULL to FULL; ABSENT where a point was not probed."""
POINTS = "probe/points.safetensors"
MAP = Scatter(("places", "labels", "thumbnails"), "Where the network places the same test pictures: alike is near.")


@dataclass(frozen=True)
class Course:
    """The map over time. places: (T, N, 2), NaN where a point was not probed; shares, images: T; labels: (N,)."""

    steps: tuple[int, ...]
    places: np.ndarray
    shares: tuple[float, ...]
    images: tuple[int, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    skipped: int

    @property
    def reach(self) -> float:
        """Half the side of the square that is drawn: all but one in 200 coordinates, and a little more."""
        return max(float(np.nanquantile(np.abs(self.places), 0.995)) * 1.15, 1e-9)

    def drawn(self, places: np.ndarray) -> np.ndarray:
        """Places as coordinates from -1 to 1 of that square; far outliers stand on its edge."""
        return np.clip(places / self.reach, -1, 1)

    def at(self, step: float) -> np.ndarray:
        """Places (N, 2) at a step or between two probes: there points are on the straight way from one to the next."""
        last = len(self.steps) - 1
        place = float(np.interp(step, self.steps, range(last + 1)))
        low = min(int(place), last)
        high, share = min(low + 1, last), place - low
        return self.places[low] if share == 0 else (1 - share) * self.places[low] + share * self.places[high]


def stamp(folder: Path) -> str:
    """Changes with every probe; "" when there is none."""
    found = probes(folder)
    return f"{len(found)}-{files.stamp(found[-1][1])}" if found else ""


def course_of(folder: Path) -> Course | None:
    """The map over a run's time; None when no probe has points."""
    return _course(folder, stamp(folder))


@lru_cache(maxsize=16)
def _course(folder: Path, stamp: str) -> Course | None:
    kept = [(step, read_values(path)[0]["features"]) for step, path in probes(folder)]
    there = [(step, features) for step, features in kept if len(features)]
    if not there:
        return None
    if len(there) > STEPS:
        there = [there[i] for i in np.linspace(0, len(there) - 1, STEPS).round().astype(int)]
    places, shares = moving([features for _, features in there])
    pinned = read_values(folder / POINTS)[0]
    return Course(
        tuple(step for step, _ in there), places, tuple(shares), tuple(len(features) for _, features in there),
        pinned["labels"][: places.shape[1]], tuple(pinned["classes"]), sum(not len(features) for _, features in kept),
    )  # fmt: skip


def told(course: Course) -> dict[str, Any]:
    """A course as JSON: whole numbers in base64, little endian."""
    scaled = course.drawn(course.places) * FULL
    whole = np.where(np.isnan(scaled), ABSENT, np.nan_to_num(scaled).round()).astype("<i2")
    labels = np.unique(course.labels).tolist()
    names = {label: course.classes[label] if 0 <= label < len(course.classes) else "" for label in labels}
    return {
        "steps": course.steps, "places": base64.b64encode(whole.tobytes()).decode(), "images": course.images,
        "shares": [round(share, 3) for share in course.shares], "skipped": course.skipped,
        "labels": course.labels.tolist(), "names": names,
        "colours": {label: colour_of(label) for label in labels},
    }  # fmt: skip


def colour_of(label: int) -> str:
    """The colour of a label; unknown ones are grey."""
    return COLOURS[label % len(COLOURS)] if label >= 0 else "#8a8a86"


def sheet_of(folder: Path) -> Image.Image:
    """All thumbnails of the pinned images, in rows as many as columns."""
    pictures = read_values(folder / POINTS)[0]["thumbnails"]
    side, across = pictures.shape[-1], int(np.ceil(np.sqrt(len(pictures))))
    sheet = np.zeros((across * side, across * side, 3), np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // across * side, i % across * side
        sheet[top : top + side, left : left + side] = rgb(picture)
    return Image.fromarray(sheet)


def stops(run: Run) -> list[int]:
    """The steps at which something was stored to look at: pictures, or a map."""
    course = course_of(run.folder)
    return sorted({step for step, _ in media(run.folder)} | set(course.steps if course else ()))


def numbers(run: Run, exhibits: Sequence[Exhibit]) -> dict[str, np.ndarray]:
    """Each number that curves show, as (N, 2): step and value; the last value of the other reported numbers."""
    series = series_of(run.folder)
    series.read()
    found: dict[str, np.ndarray] = {}
    for exhibit in exhibits:
        for name in exhibit.names:
            points = series.points(name)
            if len(points):
                found[name] = points if isinstance(exhibit, Curves) else found.get(name, points[-1, 1:])
    return found


def values_at(run: Run, exhibits: Sequence[Exhibit], step: int) -> dict[str, Any]:
    """All that exhibits show of a run at a step: its series, and the last that was stored up to then."""
    kept = [path for there, path in media(run.folder) if there <= step]
    return {**numbers(run, exhibits), **(read_values(kept[-1])[0] if kept else {})}


def map_at(run: Run, step: int) -> dict[str, Any]:
    """What `MAP` shows, as values; ValueError when there is none."""
    course = course_of(run.folder)
    if course is None:
        raise ValueError(f"run {run.id} has no map yet; it makes one at its first evaluation, if its method embeds")
    places = course.at(step)
    there = ~np.isnan(places[:, 0])
    pinned = read_values(run.folder / POINTS)[0]
    return {
        "places": places[there], "labels": course.labels[there], "classes": list(course.classes),
        "thumbnails": pinned["thumbnails"][: len(there)][there],
    }  # fmt: skip


# Routes


def spoken(work: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """`work` with its refusals told as JSON."""

    def answer(request: Request) -> Response:
        try:
            return work(request)
        except (ValueError, KeyError, IndexError, OSError) as error:
            return JSONResponse({"error": str(error)}, 404)

    return answer


def send_map(request: Request) -> Response:
    """GET: the map over time, which a browser may keep under its `stamp`."""
    run = find(request.path_params["id"])
    kept, course = keeping(request, stamp(run.folder)), course_of(run.folder)
    if course is None:
        raise ValueError(f"run {run.id} has no map")
    return Response(json.dumps(told(course), separators=(",", ":")), media_type="application/json", headers=kept)


def send_sheet(request: Request) -> Response:
    """GET: the thumbnails of the map's points in one picture. stamp: of their file, to keep it."""
    folder = find(request.path_params["id"]).folder
    kept = keeping(request, files.stamp(folder / POINTS))
    return Response(jpeg(sheet_of(folder)), media_type="image/jpeg", headers=kept)


def send_script(request: Request) -> Response:
    """GET: the Python file that draws an exhibit of a run, or its map, as it was at a step."""
    run, step, place = find(request.path_params["id"]), request.path_params["step"], request.path_params["place"]
    if place == "map":
        exhibit: Exhibit = MAP
        values: Mapping[str, Any] = map_at(run, step)
    else:
        exhibits = warm.exhibits(run.plan.method)
        exhibit, values = exhibits[int(place)], values_at(run, exhibits, step)
    name = f"{type(exhibit).__name__.lower()}-{run.id}-{step}.py"
    return PlainTextResponse(script(exhibit, values), headers={"Content-Disposition": f'attachment; filename="{name}"'})


ROUTES: list[BaseRoute] = [
    Route("/api/runs/{id}/map", spoken(send_map)),
    Route("/api/runs/{id}/thumbnails", spoken(send_sheet)),
    Route("/api/runs/{id}/script/{place}/{step:int}", spoken(send_script)),
]
