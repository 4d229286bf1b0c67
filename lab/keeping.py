"""What a browser may keep of what a route draws."""

from __future__ import annotations

from starlette.requests import Request


def keeping(request: Request, stamp: str) -> dict[str, str]:
    """For a day, when the address names the stamp of what it was drawn from; else not at all.

    A run that is resumed replaces the files of later steps: under an address without a stamp an old picture would stay.
    """
    fits = request.query_params.get("stamp") == stamp
    return {"Cache-Control": "private, max-age=86400, immutable" if fits else "no-store"}
