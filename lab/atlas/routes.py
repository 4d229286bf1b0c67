"""The routes of the page of maps: points and layouts as bytes, thumbnails, neighbours, measures, selections."""

from __future__ import annotations

import base64
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from engine.method import Scatter
from lab import warm
from lab.atlas import looks
from lab.atlas.atlas import STORED, Atlas, Plane, find_atlas
from lab.atlas.fits import COURSE, Asked, frames, measured
from lab.following import Following
from lab.redraw import script

MOST_NEIGHBOURS = 24


def told(work: Callable[[Request, Atlas], Response]) -> Callable[[Request], Response]:
    """`work` on the atlas that the address names, its refusals told as JSON."""

    def answer(request: Request) -> Response:
        try:
            return work(request, find_atlas(request.path_params["id"]))
        except (ValueError, IndexError) as error:
            return JSONResponse({"error": str(error)}, 422)

    return answer


def kept(atlas: Atlas) -> dict[str, str]:
    """How long a browser may keep it: an atlas never changes under its id, but the one that ships may, at a release."""
    return {"Cache-Control": f"private, max-age={300 if atlas.id == STORED else 86400}"}


def clusters_in(request: Request, atlas: Atlas) -> int:
    """How many clusters are asked for."""
    count = int(request.query_params.get("clusters", atlas.usual))
    if not 2 <= count <= 200:
        raise ValueError(f"clusters: expected 2 to 200, got {count}")
    if count not in atlas.clusters:
        warm.wait()
    return count


def plane_in(request: Request, atlas: Atlas) -> Plane:
    """The finished map that is asked for. moment: which, of a course; the last unless told."""
    asked = Asked.of(request.query_params)
    if asked.name == COURSE and atlas.course is not None:
        return Plane(atlas.course[1][int(request.query_params.get("moment", -1))], (0.0, 0.0), 1.0)
    if asked.key not in atlas.maps:
        raise ValueError("this map is not finished; wait for it")
    return atlas.maps[asked.key]


def points(request: Request, atlas: Atlas) -> Response:
    """GET: what is known of each point (see `looks.packed`). clusters: how many."""
    return Response(
        looks.packed(atlas, clusters_in(request, atlas)), media_type="application/octet-stream", headers=kept(atlas)
    )


async def layout(request: Request) -> Response:
    """GET: the frames of a map, as they are made (see `fits`). Hanging up ends the work."""

    def begin() -> tuple[bytes, object]:
        pieces = frames(find_atlas(request.path_params["id"]), Asked.of(request.query_params))
        return next(pieces), pieces

    try:
        first, pieces = await run_in_threadpool(begin)
    except ValueError as error:
        return JSONResponse({"error": str(error)}, 422)
    return Following(first, pieces, "application/octet-stream")  # type: ignore[arg-type]


def measures(request: Request, atlas: Atlas) -> Response:
    """GET: the measures of a finished map, by name."""
    return JSONResponse(measured(atlas, Asked.of(request.query_params), clusters_in(request, atlas)))


def near(request: Request, atlas: Atlas) -> Response:
    """GET: the pictures nearest to one by features: rows, distances, and a strip of it and them."""
    row, asked = request.path_params["row"], request.query_params
    count = min(int(asked.get("count", 8)), MOST_NEIGHBOURS)
    rows, distances = looks.neighbours(atlas, row, count, asked.get("metric", "euclidean"))
    strip = "data:image/jpeg;base64," + base64.b64encode(looks.sheet(atlas, [row, *rows])).decode()
    return JSONResponse({"rows": rows, "distances": distances, "strip": strip}, headers=kept(atlas))


def sheet(request: Request, atlas: Atlas) -> Response:
    """GET: the thumbnails of ?rows=4,8,15 in one picture."""
    rows = [int(row) for row in request.query_params.get("rows", "").split(",") if row]
    return Response(looks.sheet(atlas, rows), media_type="image/jpeg", headers=kept(atlas))


def selection(request: Request, atlas: Atlas) -> Response:
    """GET: what is known of the pictures in ?loops=... of a finished map, as CSV. colour, only: of one group alone."""
    asked, clusters = request.query_params, clusters_in(request, atlas)
    chosen = looks.selected(plane_in(request, atlas), asked.get("loops", ""))
    if asked.get("only"):
        numbers, _ = looks.grouped_by(atlas, asked.get("colour", ""), clusters)
        chosen &= numbers == int(asked["only"])
    named = {"Content-Disposition": 'attachment; filename="selection.csv"'}
    return PlainTextResponse(looks.table(atlas, chosen.nonzero()[0], clusters), media_type="text/csv", headers=named)


def redraw(request: Request, atlas: Atlas) -> Response:
    """GET: the Python file that draws a finished map again. colour: by which column."""
    plane = plane_in(request, atlas)
    labels, classes = looks.grouped_by(
        atlas, request.query_params.get("colour", "cluster"), clusters_in(request, atlas)
    )
    exhibit = Scatter(("places", "labels", "thumbnails"), f"{atlas.says}: alike is near.")
    values = {"places": plane.drawn, "labels": labels, "thumbnails": atlas.features.thumbnails, "classes": classes}
    named = {"Content-Disposition": 'attachment; filename="map.py"'}
    return PlainTextResponse(script(exhibit, values), headers=named)


ROUTES: list[BaseRoute] = [
    Route("/api/maps/{id}/points", told(points)),
    Route("/api/maps/{id}/layout", layout),
    Route("/api/maps/{id}/measures", told(measures)),
    Route("/api/maps/{id}/near/{row:int}", told(near)),
    Route("/api/maps/{id}/sheet", told(sheet)),
    Route("/api/maps/{id}/selection", told(selection)),
    Route("/api/maps/{id}/script", told(redraw)),
]
