"""The routes beside the pages: what must answer faster than a rerun, and files."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from engine.assets import ROOT
from engine.record import read_values
from lab import timeline, warm
from lab.figures import draw, jpeg, portable, raster
from lab.pictures import stack
from lab.redraw import script
from lab.runs import find

if TYPE_CHECKING:
    from torch import Tensor

KEPT = 32
"""Sets of pictures that visitors brought and the server still knows."""
_brought: OrderedDict[str, Tensor] = OrderedDict()


def bring(name: str, images: Tensor) -> str:
    """Keep pictures under a name for the live routes; the oldest are forgotten."""
    _brought[name] = images
    _brought.move_to_end(name)
    while len(_brought) > KEPT:
        _brought.popitem(last=False)
    return name


def brought(name: str) -> Tensor:
    """The pictures kept under `name`; ValueError when they are forgotten."""
    if name not in _brought:
        raise ValueError("these pictures are no longer here; choose them again")
    return _brought[name]


async def lens(request: Request) -> Response:
    """POST {"target", "lens", "images", "knobs", "seed", "dark"}: the answer's exhibits, and the milliseconds it took.

    With "script", a number: the script that draws this exhibit of the answer.
    """
    if request.headers.get("content-type") != "application/json":
        return JSONResponse({"error": "send JSON"}, 415)
    asked = await request.json()
    try:
        return await run_in_threadpool(answer, asked)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        return JSONResponse({"error": str(error)}, 422)


def answer(asked: dict[str, Any]) -> Response:
    """Ask the lens and draw what it answers."""
    started = time.perf_counter()
    if not warm.is_warm():
        raise ValueError("torch is still being loaded; try again in a moment")
    looker = warm.looker(asked["target"], warm.stamp(asked["target"]))
    lens = looker.lens(asked["lens"])
    images = brought(asked["images"]) if lens.takes == "images" else None
    report: dict[str, Any] = {}
    for report in looker.answers(lens, lens.params.make(asked["knobs"]), images, int(asked["seed"])):  # noqa: B007
        pass
    if "script" in asked:
        return PlainTextResponse(script(lens.exhibits[asked["script"]], report))
    exhibits = portable(lens.exhibits, report, bool(asked["dark"]))
    return JSONResponse({"exhibits": exhibits, "milliseconds": round(1000 * (time.perf_counter() - started))})


def figure(request: Request) -> Response:
    """GET: one picture of a run: its exhibit number `place` as it was stored at `step`. It never changes."""
    try:
        run = find(request.path_params["id"])
        path = dict(run.media())[request.path_params["step"]]
        exhibit = warm.exhibits(run.plan.method)[request.path_params["place"]]
        dark = request.query_params.get("dark") == "1"
        drawn = [raster(one, dark) for one in draw(exhibit, read_values(path)[0], dark)]
    except (ValueError, KeyError, IndexError, OSError) as error:
        return JSONResponse({"error": str(error)}, 404)
    return Response(jpeg(stack(drawn, dark)), media_type="image/jpeg", headers={"Cache-Control": "max-age=86400"})


ROUTES: list[BaseRoute] = [
    Route("/api/lens", lens, methods=["POST"]),
    Route("/api/runs/{id}/figures/{place:int}/{step:int}", figure),
    *timeline.ROUTES,
    Mount("/api/fonts", app=StaticFiles(directory=ROOT / "fonts")),
]
