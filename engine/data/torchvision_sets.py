"""torchvision's classification sets by name: what lies on disk is used, the rest is fetched when there is a network.

The files belong under `VISIONARIUM_DATA`, or ~/.visionarium/data where that is not set.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.data.base import Batch, Dataset, Facts
from engine.data.decode import fit, guarded, pixels
from engine.data.embedded import whole
from engine.data.known_sets import KNOWN, Known
from engine.data.lazy import Lazy, one
from engine.data.paths import held_out

PATIENCE = 30.0
"""Seconds without an answer after which a download is given up."""


@dataclass(frozen=True)
class Files:
    """Those images of a torchvision set that belong to the split; `row` reads one."""

    source: Any
    places: tuple[int, ...]
    facts: Facts
    spec: str

    def row(self, i: int) -> Batch:
        with guarded(f"{self.spec}, image {self.places[i]}"):
            picture, label = self.source[self.places[i]]
            image = pixels(picture)
        return one(fit(image, self.facts), i, int(label))


def root() -> Path:
    """The folder that the sets lie in."""
    return Path(os.environ.get("VISIONARIUM_DATA") or "~/.visionarium/data").expanduser()


def load(name: str, split: str, size: int | None, channels: int | None) -> Dataset:
    """A split of the set: held in memory where torchvision holds an array, else read from disk when asked for."""
    if name not in KNOWN:
        near = get_close_matches(name, KNOWN, 3, 0.4) or list(KNOWN)
        raise ValueError(f"torchvision: {name!r} is no classification set that can be read here; use {', '.join(near)}")
    known = KNOWN[name]
    source = opened(name, known, split)
    classes = class_names(source, known)
    if isinstance(getattr(source, "data", None), np.ndarray | Tensor):
        labels = torch.as_tensor(np.asarray(source.labels if hasattr(source, "labels") else source.targets)).long()
        images = images_first(source.data)
        # EMNIST is stored with rows and columns exchanged.
        return whole(images.transpose(2, 3) if name == "EMNIST" else images, labels, classes, size, channels)
    places = list(range(len(source)))
    if known.splits is None:
        labels = source.targets if hasattr(source, "targets") else source.y
        test = held_out([str(place) for place in places], labels)
        places = [place for place in places if (place in test) == (split == "test")]
    facts = Facts(channels or known.channels, size or known.size, classes)
    spec = f"torchvision:{name}"
    return Lazy(facts, len(places), Files(source, tuple(places), facts, spec).row, spec)


def opened(name: str, known: Known, split: str) -> Any:
    """The torchvision dataset; ValueError says where which files belong when it cannot be had."""
    from torchvision import datasets

    kind, folder = getattr(datasets, name), root()
    arguments = known.splits[split == "test"] if known.splits else {}
    try:
        return kind(folder, **arguments)
    except (RuntimeError, OSError):
        pass  # it is not there yet
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with patience(PATIENCE):
            return kind(folder, **arguments, download=True)
    except (RuntimeError, OSError, TypeError, ValueError, ImportError) as error:
        said = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise ValueError(
            f"torchvision:{name} is not in {folder} and could not be fetched ({said}); put {known.files} there "
            "(VISIONARIUM_DATA names another folder), or run this once where there is a network"
        ) from error


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Network connections opened within give up after `seconds` of silence; torchvision itself would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def images_first(data: np.ndarray | Tensor) -> Tensor:
    """(N, H, W), (N, H, W, 3) or (N, 3, H, W) -> uint8 (N, C, H, W)."""
    images = torch.as_tensor(data)
    if images.ndim == 3:
        return images[:, None]
    return images.permute(0, 3, 1, 2) if images.shape[-1] == 3 else images


def class_names(source: Any, known: Known) -> tuple[str, ...]:
    """The set's own names, the first where there are synonyms; numbers where it has none."""
    for attribute in ("classes", "categories", "_characters"):
        names = getattr(source, attribute, None)
        if names:
            return tuple(name if isinstance(name, str) else name[0] for name in names)
    return tuple(str(label) for label in range(known.classes))
