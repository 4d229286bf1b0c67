"""Maps that are being made: each layout as a frame that the browser draws, until the map is finished and kept."""

from __future__ import annotations

import struct
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lab import warm
from lab.atlas import umap_learn
from lab.atlas.atlas import Atlas, Plane, find_atlas

FULL, ABSENT = 16_000, -32_768
"""Places are sent as whole numbers, FULL at the edge of the square; ABSENT where a point has no place."""
PAUSE = 0.12
"""Seconds between two frames of a map that is being made."""
HEAD = struct.Struct("<4I")
"""Before the places of a frame: its number, of how many, how many points, and 1 when the map is finished."""
COURSE = "course"
"""The map of a run over time: a finished frame for each moment."""
ALIGNED = {"umap": {"pull": "0.1"}}
"""Knobs, where none are given, of a map that begins with another one."""


@dataclass(frozen=True)
class Asked:
    """A map: by what, with which knobs beside the usual, and the id of the atlas with whose map it begins, if any."""

    name: str
    knobs: Mapping[str, str]
    after: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Asked:
        """As an address has it: map=umap&after=...&umap.n_neighbors=5."""
        name = query.get("map", "umap")
        knobs = {key.partition(".")[2]: value for key, value in query.items() if key.startswith(f"{name}.")}
        return cls(name, knobs, query.get("after", ""))

    @property
    def key(self) -> str:
        """Under which the finished map is kept: as "umap", where everything is as usual."""
        return " ".join([self.name, *(f"{key}={self.knobs[key]}" for key in sorted(self.knobs)), self.after]).strip()

    @property
    def metric(self) -> str:
        return self.knobs.get("metric", "euclidean")


def frames(atlas: Atlas, asked: Asked) -> Generator[bytes]:
    """The frames of a map; of one that is kept, the last. ValueError: what is wrong with what was asked."""
    if asked.name == COURSE:
        if atlas.course is None:
            raise ValueError("this atlas has no course over time; choose a run that has one")
        moments = atlas.course[1]
        yield from (frame(places, i, len(moments), finished=True) for i, places in enumerate(moments))
        return
    if kept := atlas.maps.get(asked.key):
        yield frame(kept.drawn, 1, 1, finished=True)
        return
    square = begun_with(asked)
    last, number, total, plane = 0.0, 0, 0, None
    for number, total, places in layouts(atlas, asked, square):
        plane = Plane.around(places) if square is None else Plane(places, square.middle, square.reach)
        if time.monotonic() - last > PAUSE:
            last = time.monotonic()
            yield frame(plane.drawn, number, total, finished=False)
    if plane is not None:
        atlas.keep(asked.key, plane)
        yield frame(plane.drawn, number, total, finished=True)


def begun_with(asked: Asked) -> Plane | None:
    """The other atlas's map that this one begins with; both are drawn in its square, so that points can be followed."""
    if not asked.after:
        return None
    other = find_atlas(asked.after).maps.get(Asked(asked.name, asked.knobs).key)
    if other is None:
        raise ValueError("the map to begin with is not finished; make that one first")
    return other


def layouts(atlas: Atlas, asked: Asked, earlier: Plane | None) -> Iterator[tuple[int, int, np.ndarray]]:
    """(number, of how many, places) of each layout."""
    if asked.name == umap_learn.NAME:
        yield from umap_learn.layouts(atlas.features.features, asked.knobs, None if earlier is None else earlier.places)
        return
    warm.wait()
    import torch

    from engine.bench import find_device
    from engine.maps import MAPS
    from engine.maps import layouts as made

    knobs = {**(ALIGNED.get(asked.name, {}) if earlier is not None else {}), **asked.knobs}
    rows = torch.from_numpy(atlas.features.features).to(find_device("auto"))
    before = None if earlier is None else torch.from_numpy(np.array(earlier.places, np.float32)).to(rows.device)
    works = made(asked.name, rows, knobs, before)
    params = MAPS[asked.name][0].make(knobs)
    total = next((getattr(params, name) for name in ("epochs", "steps") if hasattr(params, name)), 1)
    with torch.no_grad():
        for number, places in enumerate(works):
            yield number, total, places.cpu().numpy()


def frame(places: np.ndarray, number: int, total: int, *, finished: bool) -> bytes:
    """One layout (N, 2) in the square as the browser reads it."""
    there = np.isfinite(places)
    whole = np.clip(np.where(there, places, 0) * FULL, -2 * FULL, 2 * FULL).round()
    return HEAD.pack(number, total, len(places), finished) + np.where(there, whole, ABSENT).astype("<i2").tobytes()


def measured(atlas: Atlas, asked: Asked, clusters: int) -> dict[str, float]:
    """How good a finished map is, and the features it was made of (see `engine.maps.measures`); kept."""
    name = f"{asked.key} {clusters}"
    if name not in atlas.measures:
        plane = atlas.maps.get(asked.key)
        if plane is None:
            raise ValueError("this map is not finished; its measures come after it")
        warm.wait()
        import torch

        from engine.maps.measures import judge

        found = atlas.features
        rows, places = torch.from_numpy(found.features), torch.from_numpy(np.array(plane.places, np.float32))
        groups, metric = (
            torch.from_numpy(atlas.grouped(clusters)),
            "cosine" if asked.metric == "cosine" else "euclidean",
        )
        atlas.measures[name] = judge(rows, places, torch.from_numpy(found.labels), groups, metric)  # type: ignore[arg-type]
    return atlas.measures[name]
