"""Pictures by name to choose from: those that ship, and those that visitors brought as files of the lab's home."""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from engine.assets import ROOT
from engine.files import replace_file
from lab.figures import data_url, jpeg
from lab.home import check_space, home
from lab.keeping import keeping
from lab.pictures import ribbon

SIDE, TILE = 1024, 72
"""Pixels that a kept picture is long at most; of a small one that is chosen from."""
KEPT = 12
"""Pictures of visitors that are kept; an older one goes when another comes."""
SHIPPED = ("styles", "photos")


def folder() -> Path:
    return home() / "pictures"


def own() -> list[Path]:
    """The pictures that visitors brought, the newest first."""
    return sorted(folder().glob("*.jpg"), key=lambda path: -path.stat().st_mtime_ns)


def choice() -> tuple[Path, ...]:
    """The pictures to choose from."""
    return (*(path for name in SHIPPED for path in sorted((ROOT / name).glob("*.jpg"))), *own())


def palette() -> dict[str, Any]:
    """Their "names" for `engine.data.pictures`, and the "url" of one file of them all, small, under one another."""
    shown = choice()
    names = [path.stem if path.is_relative_to(ROOT) else str(path) for path in shown]
    return {"names": names, "url": f"/api/palette?stamp={_stamp(shown)}"}


def _stamp(shown: tuple[Path, ...]) -> str:
    return hashlib.sha256("\n".join(map(str, shown)).encode()).hexdigest()[:16]


@lru_cache(maxsize=4)
def _sheet(shown: tuple[Path, ...]) -> bytes:
    return jpeg(ribbon({"": [tile(path) for path in shown]}))


def sheet(request: Request) -> Response:
    """GET: the pictures to choose from. stamp: of which these are, to keep them."""
    shown = choice()
    return Response(_sheet(shown), media_type="image/jpeg", headers=keeping(request, _stamp(shown)))


def tile(path: Path) -> Image.Image:
    """The central square of a picture of the lab's own, small."""
    with Image.open(path) as image:
        image.draft("RGB", (2 * TILE, 2 * TILE))
        return ImageOps.fit(image.convert("RGB"), (TILE, TILE))


def bring(data: bytes, name: str) -> Path:
    """Keep the picture that a visitor brought, upright and without what else its file told; the file it is kept as.

    ImageError tells what is wrong with it, ValueError that the disk is full.
    """
    from engine.data.decode import decode

    picture = Image.fromarray(np.asarray(decode(data, name).permute(1, 2, 0)))
    picture.thumbnail((SIDE, SIDE))
    check_space(home())
    folder().mkdir(exist_ok=True)
    path = folder() / f"{hashlib.sha256(data).hexdigest()[:16]}.jpg"
    replace_file(path, jpeg(picture))
    for old in own()[KEPT:]:
        old.unlink(missing_ok=True)
    return path


async def picture(request: Request) -> Response:
    """POST the bytes of a picture: {"name", "tile"}, under which knobs may name it, and how it looks when small."""
    if request.headers.get("content-type") != "application/octet-stream":
        return JSONResponse({"error": "send the bytes of a picture"}, 415)
    from engine.data.decode import MAX_BYTES

    data = io.BytesIO()
    async for piece in request.stream():
        data.write(piece)
        if data.tell() > MAX_BYTES:
            return JSONResponse({"error": f"the picture has more than {MAX_BYTES >> 20} MiB; save it smaller"}, 413)
    try:
        path = await run_in_threadpool(bring, data.getvalue(), request.query_params.get("name", "")[:80])
    except (ValueError, OSError) as error:
        return JSONResponse({"error": str(error)}, 422)
    return JSONResponse({"name": str(path), "tile": data_url(tile(path))})


ROUTES: list[BaseRoute] = [
    Route("/api/pictures", picture, methods=["POST"]),
    Route("/api/palette", sheet),
]
