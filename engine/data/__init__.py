"""Where data comes from: embedded sets, generated scenes, and what people have on disk, behind one interface."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.data.base import Dataset

EMBEDDED = ("garments", "photos", "glyphs", "cutouts", "nuclei", "scenes")


def open_data(spec: str, split: str = "train", size: int | None = None, channels: int | None = None) -> Dataset:
    """A split of a source by name, e.g. "garments", "photos:crops:500", "scenes:scene96", "folder:/my/pictures"."""
    name, _, variant = spec.partition(":")
    if name == "folder":
        return import_module("engine.data.folder").load_labelled(variant, split, size, channels)
    if name == "unlabelled":
        return import_module("engine.data.folder").load_unlabelled(variant, split, size, channels)
    if name == "torchvision":
        return import_module("engine.data.torchvision_sets").load(variant, split, size, channels)
    if name == "scenes":
        from engine.data.scenes import Scenes

        preset, _, count = variant.partition(":")
        return Scenes(preset or "scene64", split, count=int(count) if count else None)  # type: ignore[arg-type]
    if name in EMBEDDED:
        return import_module(f"engine.data.{name}").load(variant, split, size, channels)
    raise ValueError(f"there is no source {spec!r}; use {', '.join(EMBEDDED)}, or folder:PATH")
