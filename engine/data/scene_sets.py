"""Generated scenes by name: `scenes`, `scenes:PRESET`, `scenes:PRESET:COUNT`."""

from __future__ import annotations

from engine.data.scenes import PRESETS, Scenes


def load(variant: str, split: str, size: int | None, channels: int | None) -> Scenes:
    """A split of a preset ("" is scene64), with `COUNT` scenes where that is said."""
    preset, _, number = variant.partition(":")
    preset = preset or "scene64"
    if preset not in PRESETS:
        raise ValueError(f"scenes: there is no preset {preset!r}; use {', '.join(PRESETS)}")
    if number and not (number.isdecimal() and 1 <= int(number) <= 10_000_000):
        raise ValueError(f"scenes: the count {number!r} cannot be; use 1 to 10 000 000")
    drawn = PRESETS[preset].size
    if size not in (None, drawn):
        fitting = ", ".join(name for name, each in PRESETS.items() if each.size == size) or "another preset"
        raise ValueError(f"size: {preset} is drawn at {drawn} pixels, got {size}; use {fitting}")
    if channels == 1:
        raise ValueError("channels: scenes are in colour, got 1; use 3")
    return Scenes(preset, split, count=int(number) if number else None)
