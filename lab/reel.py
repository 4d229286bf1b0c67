"""The moments of a lens that takes long, as an animation: its pictures, and the curves that belong to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from PIL import Image, ImageDraw
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from engine.method import Curves, Exhibit
from lab import moments
from lab.figures import PICTURES, draw, raster
from lab.film import MARGIN, PANEL, Kind, Panel, animation
from lab.looking import arrays
from lab.pictures import text_font

if TYPE_CHECKING:
    from engine.method import Lens

HEAD = 56
"""Pixels above the pictures, for the title."""
LONGEST = 400
"""Moments in a film at most."""


def reel(lens: Lens, reports: Sequence[Mapping[str, Any]], kind: Kind, dark: bool = False) -> bytes:
    """Reports (arrays) of a lens as an animated GIF or WebP. ValueError when there are not two of them."""
    if len(reports) < 2:
        raise ValueError(f"a film needs two moments or more, and there is {len(reports)}; let it go on")
    shown = next((one for one in lens.exhibits if isinstance(one, PICTURES)), lens.exhibits[0])
    stills = [still(shown, values, dark) for values in reports]
    curves, last = next((one for one in lens.exhibits if isinstance(one, Curves)), None), reports[-1]
    panel = None
    if curves and last.keys() >= set(curves.names):
        numbers = {name: last[name] for name in curves.names}
        ends = [float(points[at, 0]) for points in numbers.values() for at in (0, -1)]
        panel = Panel(curves, numbers, (min(ends), max(ends)), dark)
    width = max([PANEL[0], *(one.width for one in stills if one)]) + 2 * MARGIN
    tall = max(one.height if one else 0 for one in stills)
    height = HEAD + tall + MARGIN + (PANEL[1] + MARGIN if panel else 0)
    ink, paper = ("#f0ede6", "#151514") if dark else ("#1d1c1a", "#fbfaf7")
    frames = []
    for place, (values, one) in enumerate(zip(reports, stills, strict=True)):
        sheet = Image.new("RGB", (width, height), paper)
        says = f"{lens.name}, {place + 1} of {len(reports)}"
        ImageDraw.Draw(sheet).text((MARGIN, 14), says, fill=ink, font=text_font(24))
        if one:
            sheet.paste(one, ((width - one.width) // 2, HEAD))
        if panel and curves:
            at = float(values[curves.names[0]][-1, 0])
            sheet.paste(panel.at(at), ((width - PANEL[0]) // 2, HEAD + tall + MARGIN))
        frames.append(sheet)
    return animation(frames, kind)


def still(exhibit: Exhibit, values: Mapping[str, Any], dark: bool) -> Image.Image | None:
    """An exhibit of one moment as a picture; None where not all of it is reported yet."""
    if not values.keys() >= set(exhibit.names):
        return None
    return raster(draw(exhibit, values, dark)[0], dark)


async def film(request: Request) -> Response:
    """POST {"moments", "kind", "dark"}: these moments of a lens as one animation, "webp" or "gif"."""
    if request.headers.get("content-type") != "application/json":
        return JSONResponse({"error": "send JSON"}, 415)
    asked = await request.json()
    try:
        kind = asked["kind"]
        if kind not in get_args(Kind):
            raise ValueError(f"kind: {kind!r} is no animation; choose among {', '.join(get_args(Kind))}")
        found = moments.moments(asked["moments"][:LONGEST])
        lens = found[-1][0] if found else None
        if lens is None:
            raise ValueError("moments: there are none; look first")
        values = [arrays(report) for _, report in found]
        made = await run_in_threadpool(reel, lens, values, kind, bool(asked.get("dark")))
    except (ValueError, TypeError, KeyError) as error:
        return JSONResponse({"error": str(error)}, 422)
    return Response(made, media_type=f"image/{kind}")


ROUTES: list[BaseRoute] = [Route("/api/film", film, methods=["POST"])]
