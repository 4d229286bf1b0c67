"""Finding images on disk: existing paths, picture files in folders, split folders, and a split where there is none."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from engine.data.decode import SUFFIXES

SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""What people call the folders of a split; upper case is as good."""

HELD_OUT = 0.2
"""Part of each class that becomes the test split of a set that has none."""


def existing(name: str, spec: str) -> Path:
    """The path `name`, which must exist; ValueError tells the nearest names beside it."""
    path = Path(name).expanduser()
    if not name:
        raise ValueError(f"{spec} the path is missing; write {spec}PATH")
    if path.exists():
        return path
    parent = path.parent
    if not parent.is_dir():
        raise ValueError(f"{path} does not exist, nor does the folder {parent}; check the path")
    near = get_close_matches(path.name, os.listdir(parent), 3, 0.5)
    hint = f"did you mean {', '.join(near)}?" if near else "check the path"
    raise ValueError(f"{path} does not exist; {hint}")


def nearest(path: Path) -> Path | None:
    """The path that is there and whose names, one by one, are most like those of `path`; None when none comes near."""
    if path.exists():
        return path
    parent = nearest(path.parent) if path.parent != path else None
    if parent is None or not parent.is_dir() or not os.access(parent, os.R_OK):
        return None
    near = get_close_matches(path.name, os.listdir(parent), 1, 0.6)
    return parent / near[0] if near else None


def walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """(folder, names of its files), depth first in the order of names; links are followed, but never in a circle."""
    seen = set()
    for folder, subfolders, files in os.walk(root, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        yield Path(folder), sorted(files)


def pictures(root: Path) -> list[Path]:
    """Files under `root` that are pictures by their name, sorted; hidden files are left out."""
    return [
        folder / name
        for folder, names in walk(root)
        for name in names
        if name.lower().endswith(SUFFIXES) and not name.startswith(".")
    ]


def subfolders(root: Path) -> list[Path]:
    """The folders right under `root`, sorted by name; hidden ones are left out."""
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def split_folders(root: Path) -> dict[str, Path]:
    """The folders of `root` that are splits, by split; empty when there is no training folder."""
    found = {
        split: folder
        for split, names in SPLIT_NAMES.items()
        for folder in subfolders(root)
        if folder.name.lower() in names
    }
    return found if "train" in found else {}


def split_folder(folders: dict[str, Path], split: str, root: Path) -> Path:
    """The folder of a split; "val" and "test" stand in for each other."""
    other = {"val": "test", "test": "val"}.get(split, split)
    found = folders.get(split) or folders.get(other)
    if found is None:
        raise ValueError(f"{root} has no folder for the {split} split; add {root / split}")
    return found


def held_out(names: Sequence[str], labels: Sequence[int]) -> set[int]:
    """Positions of the fifth of each class that is kept for testing; at least one of two.

    Names are ordered by their hash, so that a new file moves at most one other across the border.
    """
    by_class: dict[int, list[int]] = {}
    for place, label in enumerate(labels):
        by_class.setdefault(label, []).append(place)
    chosen: set[int] = set()
    for places in by_class.values():
        places.sort(key=lambda place: hashlib.sha256(names[place].encode("utf-8", "surrogateescape")).digest())
        count = max(round(HELD_OUT * len(places)), 1) if len(places) > 1 else 0
        chosen.update(places[:count])
    return chosen
