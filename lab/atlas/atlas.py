"""An atlas: the features of many pictures, what is known of each, and the maps that were made of them so far.

Numpy alone: the atlas that ships is looked at before torch is loaded.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from engine.assets import ROOT
from engine.features import Features
from engine.record import read_values
from engine.shipped_map import FILE
from lab.models import called

STORED = "stored"
"""The id of the atlas that ships."""
KEPT, ROOM, MAPS_KEPT = 8, 2 << 30, 24
"""Atlases that the server holds, the bytes that they may take (but two are always kept), and finished maps of each; the
oldest are forgotten."""
LARGE = 1 << 24
"""Numbers in features beyond which k-means is run once and briefly."""


@dataclass(frozen=True)
class Plane:
    """A map (N, 2), and the square in which it is drawn: its middle, and half its side."""

    places: np.ndarray
    middle: tuple[float, float]
    reach: float

    @classmethod
    def around(cls, places: np.ndarray) -> Plane:
        """With the square that holds all but one in 200 coordinates, and a little more."""
        low, high = np.quantile(places, [0.0025, 0.9975], axis=0)
        x, y = ((low + high) / 2).tolist()
        return cls(places, (x, y), max(float((high - low).max()) / 2 * 1.05, 1e-9))

    @property
    def drawn(self) -> np.ndarray:
        """The places in that square: from -1 to 1, what lies far out beyond."""
        return (self.places - np.asarray(self.middle)) / self.reach


@dataclass
class Atlas:
    """features: of N pictures. positions: where each stands in its set, `data`. says: of what it was made, for people.

    maps: finished ones by the name of what was asked (see `lab.atlas.fits`). clusters: (N,) by how many.
    course: of a run over time: labels of moments, and (T, N, 2) places in the square, NaN where one is not known.
    """

    id: str
    features: Features
    positions: np.ndarray
    data: str
    says: str
    maps: OrderedDict[str, Plane] = field(default_factory=OrderedDict)
    measures: dict[str, dict[str, float]] = field(default_factory=dict)
    clusters: dict[int, np.ndarray] = field(default_factory=dict)
    course: tuple[list[str], np.ndarray] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __len__(self) -> int:
        return len(self.features)

    @property
    def size(self) -> int:
        """Bytes of its features and thumbnails."""
        return self.features.features.nbytes + self.features.thumbnails.nbytes

    def keep(self, name: str, plane: Plane) -> None:
        """Keep a finished map under the name of what was asked."""
        with self.lock:
            self.maps[name] = plane
            while len(self.maps) > MAPS_KEPT:
                self.maps.popitem(last=False)

    def grouped(self, count: int) -> np.ndarray:
        """The cluster (N,) of each picture, of so many by k-means on the features; found once, which needs torch."""
        with self.lock:
            if count not in self.clusters:
                import torch

                from engine.ops.kmeans import kmeans

                rows = torch.from_numpy(self.features.features)
                tries, rounds = (4, 100) if rows.numel() <= LARGE else (1, 25)
                found, _ = kmeans(rows, max(1, min(count, len(rows))), tries=tries, rounds=rounds)
                self.clusters[count] = found.numpy()
            return self.clusters[count]

    @property
    def usual(self) -> int:
        """Clusters that are made unless somebody asks for others: as many as there are classes, to 20; else 10."""
        classes = len(np.unique(self.features.labels[self.features.labels >= 0]))
        return classes if 2 <= classes <= 20 else min(10, len(self))


_kept: OrderedDict[str, Atlas] = OrderedDict()


def keep_atlas(atlas: Atlas) -> Atlas:
    """Keep an atlas for the routes under its id."""
    _kept[atlas.id] = atlas
    _kept.move_to_end(atlas.id)
    while len(_kept) > KEPT or (len(_kept) > 2 and sum(one.size for one in _kept.values()) > ROOM):
        _kept.popitem(last=False)
    return atlas


def is_kept(atlas: Atlas) -> bool:
    """Whether the routes still know it."""
    return _kept.get(atlas.id) is atlas


def find_atlas(id: str) -> Atlas:
    """The atlas called `id`; ValueError when it is forgotten."""
    if id == STORED:
        return stored_atlas()
    if id not in _kept:
        raise ValueError("these pictures are no longer at hand; load the page again")
    return _kept[id]


@cache
def stored_atlas() -> Atlas:
    """The one that ships."""
    values, note = read_values(ROOT / FILE)
    found = Features(
        values["features"], values["labels"], values["thumbnails"], tuple(values["classes"]),
        values["predictions"], values["confidence"], values["entropy"], tuple(values["answers"]),
    )  # fmt: skip
    atlas = Atlas(STORED, found, values["positions"], note["data"], described(note))
    for name, measures in note["measures"].items():
        atlas.keep(name, Plane.around(values[f"layout.{name}"]))
        atlas.measures[f"{name} {atlas.usual}"] = measures
    atlas.clusters[int(values["clusters"].max()) + 1] = values["clusters"]
    return atlas


def described(note: dict[str, Any]) -> str:
    """Of what an atlas was made, in a line."""
    return f"{note['pictures']:,} pictures of {note['data']} ({note['split']}), seen by {called(note['target'])}"
