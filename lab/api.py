"""The routes beside the pages: what must answer faster than a rerun, and files."""

from __future__ import annotations

from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from engine.assets import ROOT

ROUTES: list[BaseRoute] = [
    Mount("/api/fonts", app=StaticFiles(directory=ROOT / "fonts")),
]
