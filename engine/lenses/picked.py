"""Of the pictures at hand the one that a knob `picture` names, counted from 1."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def picked(picture: int, images: Tensor) -> int:
    """Its place among `images` (B, ...), from 0. ValueError: there are not so many."""
    if picture > len(images):
        raise ValueError(f"picture: there are {len(images)} pictures, got {picture}")
    return picture - 1


def last_picture(model: Any, images: Tensor | None) -> dict[str, int]:
    """How far such a knob goes: see `Lens.ends`."""
    return {"picture": 1 if images is None else len(images)}
