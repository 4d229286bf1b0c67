"""Single pictures by name: a shipped photograph, a shipped painting, or a file."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from torch import Tensor

from engine.assets import ROOT
from engine.data.base import Facts
from engine.data.decode import decode, fit

FOLDERS = ("photos", "styles")


def names(*folders: str) -> dict[str, Path]:
    """The shipped pictures of `folders` (all without one) by name, photographs first."""
    return {path.stem: path for folder in folders or FOLDERS for path in sorted((ROOT / folder).glob("*.jpg"))}


def picture(name: str, size: int) -> Tensor:
    """uint8 (3, size, size). name: see `names`, or a file. ValueError names the nearest when there is none."""
    shipped = names()
    if name in shipped:
        return fit(decode(shipped[name]), Facts(3, size))
    if Path(name).expanduser().is_file():
        return fit(decode(Path(name).expanduser()), Facts(3, size))
    near = get_close_matches(name, shipped, 3, 0.4) or list(shipped)[:5]
    raise ValueError(f"there is no picture {name!r}; use {', '.join(near)}, or the path of an image file")
