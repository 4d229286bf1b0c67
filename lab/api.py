"""The routes beside the pages: what must answer faster than a rerun, and files."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from engine.assets import ROOT
from engine.files import stamp
from engine.record import read_values
from lab import learned, moments, overlaid, own, reel, timeline, warm, what_if
from lab.atlas import routes as atlas
from lab.figures import DRAWN, draw, jpeg, portable, raster
from lab.following import Following
from lab.keeping import keeping
from lab.looking import arrays
from lab.pictures import ribbon, stack
from lab.redraw import script
from lab.runs import find
from lab.share.archive import stream

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 640
"""Pixels that a tile may be wide."""
KEPT = 32
"""Sets of pictures that visitors brought and the server still knows, if together they take no more than ROOM bytes."""
ROOM = 512 << 20
_brought: OrderedDict[str, Tensor] = OrderedDict()


def bring(name: str, images: Tensor) -> str:
    """Keep pictures under a name for the live routes; the oldest are forgotten."""
    _brought[name] = images
    _brought.move_to_end(name)
    while len(_brought) > KEPT or (len(_brought) > 1 and sum(each.nbytes for each in _brought.values()) > ROOM):
        _brought.popitem(last=False)
    return name


def brought(name: str) -> Tensor:
    """The pictures kept under `name`; ValueError when they are forgotten."""
    if name not in _brought:
        raise ValueError("these pictures are no longer here; choose them again")
    return _brought[name]


async def lens(request: Request) -> Response:
    """POST {"target", "lens", "images", "pick", "knobs", "seed", "dark"}: the answer, a line of JSON for each report.

    pick: which of the pictures, for a lens that takes one. A line has the "exhibits" and the "milliseconds" so far, or
    an "error" that came late. Hanging up ends the work. With "script", a number: the script that draws this exhibit of
    the whole answer, or of a "moment" of it. What takes long is kept a while, so its lines also have the "moment"; with
    "begin", one of these, a lens that goes on begins from there.
    """
    if request.headers.get("content-type") != "application/json":
        return JSONResponse({"error": "send JSON"}, 415)
    asked = await request.json()
    lines = answers(asked)
    try:
        first = await run_in_threadpool(next, lines)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        return JSONResponse({"error": str(error)}, 422)
    if "script" in asked:
        return PlainTextResponse(first)
    return Following(first, lines)


def answers(asked: dict[str, Any]) -> Generator[str]:
    """Ask the lens and draw what it answers, a line for each report; or the script alone."""
    started = time.perf_counter()
    if not warm.is_warm():
        raise ValueError("torch is still being loaded; try again in a moment")
    looker = warm.looker(asked["target"], warm.stamp(asked["target"]))
    lens = looker.lens(asked["lens"])
    images = None if lens.takes == "nothing" else lens.given(brought(asked["images"]), int(asked.get("pick", 0)))
    exhibit = lens.exhibits[asked["script"]] if "script" in asked else None
    if exhibit is not None and asked.get("moment"):
        ((_, report),) = moments.moments([asked["moment"]])
        yield script(exhibit, arrays(report))
        return
    earlier = moments.begun(lens, asked["begin"]) if asked.get("begin") else None
    name = moments.begin(lens) if lens.long and exhibit is None else ""
    values: dict[str, Any] = {}
    knobs = lens.params.make(asked["knobs"])
    with closing(looker.reports(lens, knobs, images, int(asked["seed"]), earlier)) as reports:
        for report in reports:
            values = arrays(report)
            if exhibit is None:
                exhibits = portable(lens.exhibits, values, bool(asked["dark"]))
                took = round(1000 * (time.perf_counter() - started))
                line = {"exhibits": exhibits, "milliseconds": took, "moment": moments.keep(name, report)}
                yield json.dumps(line) + "\n"
    if exhibit is not None:
        yield script(exhibit, values)


def figure(request: Request) -> Response:
    """GET: one picture of a run: its exhibit number `place` as it was stored at `step`.

    stamp: of the file, to keep it.
    """
    try:
        run = find(request.path_params["id"])
        path = dict(run.media())[request.path_params["step"]]
        exhibit = warm.exhibits(run.plan.method)[request.path_params["place"]]
        dark = request.query_params.get("dark") == "1"
        kept = keeping(request, stamp(path))
        drawn = [raster(one, dark) for one in draw(exhibit, read_values(path)[0], dark)]
    except (ValueError, KeyError, IndexError, OSError) as error:
        return JSONResponse({"error": str(error)}, 404)
    return Response(jpeg(stack(drawn, dark)), media_type="image/jpeg", headers=kept)


def archive(request: Request) -> Response:
    """GET: the whole run as it is now as one file, made while it is sent. ?checkpoints=0 leaves those out."""
    try:
        run = find(request.path_params["id"])
    except ValueError as error:
        return JSONResponse({"error": str(error)}, 404)
    headers = {"Content-Disposition": f'attachment; filename="{run.id}.zip"', "Cache-Control": "no-store"}
    pieces = stream(run, request.query_params.get("checkpoints") != "0")
    return StreamingResponse(pieces, media_type="application/zip", headers=headers)


def cells(request: Request) -> Response:
    """GET: the tiles of a run's exhibit at a step as one picture, an image a row; "X-Rows" tells how many.

    cell: the width of a tile. row: this one alone. stamp: of the file, to keep it.
    """
    asked = request.query_params
    try:
        run = find(request.path_params["id"])
        path = dict(run.media())[request.path_params["step"]]
        exhibit = warm.exhibits(run.plan.method)[request.path_params["place"]]
        kept = keeping(request, stamp(path))
        cell, values = min(max(int(asked.get("cell", 160)), 16), LARGEST), read_values(path)[0]
        columns, _ = DRAWN[type(exhibit)](exhibit.names, values, cell)
        if "row" in asked:
            columns = {name: [tiles[int(asked["row"])]] for name, tiles in columns.items()}
    except (ValueError, KeyError, IndexError, OSError) as error:
        return JSONResponse({"error": str(error)}, 404)
    told = kept | {"X-Rows": str(len(next(iter(columns.values()))))}
    return Response(jpeg(ribbon(columns)), media_type="image/jpeg", headers=told)


ROUTES: list[BaseRoute] = [
    Route("/api/lens", lens, methods=["POST"]),
    Route("/api/runs/{id}/figures/{place:int}/{step:int}", figure),
    Route("/api/runs/{id}/archive", archive),
    Route("/api/runs/{id}/cells/{place:int}/{step:int}", cells),
    *timeline.ROUTES,
    *atlas.ROUTES,
    *overlaid.ROUTES,
    *what_if.ROUTES,
    *learned.ROUTES,
    *reel.ROUTES,
    *own.ROUTES,
    Mount("/api/fonts", app=StaticFiles(directory=ROOT / "fonts")),
]
