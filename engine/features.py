"""Features of a set as they are kept: a folder of files, each named by what it was made of. Readable without torch.

<key>.safetensors   what `Features` holds; written atomically, so it is whole or not there

The folder holds at most so many bytes: those that were not asked for the longest go first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from engine.record import read_values, write_values

LIMIT = 4 << 30
"""Bytes that the folder may hold."""
ABANDONED = 24 * 3600.0
"""Seconds after which a file that somebody began to write and never ended is taken away."""


@dataclass(frozen=True)
class Features:
    """What a network makes of N images, as numpy arrays.

    features (N, D) float32; labels (N,) int64, -1 where unknown; thumbnails (N, C, h, w) uint8; classes: their names.
    Of a network that classifies: predictions (N,) int64, their confidence (N,) in [0, 1] and the entropy (N,) of all
    probabilities in nats; else None. answers: what the predicted classes are called, which may be others than those of
    the images.
    """

    features: np.ndarray
    labels: np.ndarray
    thumbnails: np.ndarray
    classes: tuple[str, ...]
    predictions: np.ndarray | None = None
    confidence: np.ndarray | None = None
    entropy: np.ndarray | None = None
    answers: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.features)

    @property
    def judged(self) -> bool:
        """Whether it can be said which predictions are right: images and answers are of the same classes."""
        return self.predictions is not None and self.answers == self.classes and bool((self.labels >= 0).any())


def read_features(folder: Path, key: str) -> Features | None:
    """What is kept under `key`, which counts as asked for now; None when there is nothing whole."""
    path = _path(folder, key)
    try:
        values, _ = read_values(path)
        found = Features(**values | {name: tuple(values[name]) for name in ("classes", "answers")})
    except FileNotFoundError:
        return None
    except (SafetensorError, KeyError, TypeError, ValueError, OSError):
        path.unlink(missing_ok=True)  # damaged from outside; whoever asks makes it again
        return None
    with suppress(OSError):
        os.utime(path)
    return found


def keep_features(folder: Path, key: str, found: Features, note: Mapping[str, Any], limit: int = LIMIT) -> None:
    """Keep `found` under `key`, and no more than `limit` bytes in all. note: what it was made of, for people.

    ValueError when it is larger than that alone; OSError when the disk refuses. Either way the others stay.
    """
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    values = {name: value for name, value in values.items() if value is not None}
    size = sum(value.nbytes for value in values.values() if isinstance(value, np.ndarray))
    if size > limit:
        raise ValueError(f"{size >> 20} MB of features are more than the {limit >> 20} MB that may be kept")
    folder.mkdir(parents=True, exist_ok=True)
    write_values(_path(folder, key), values, note)
    trim(folder, limit)


def trim(folder: Path, limit: int) -> None:
    """Take away what was not asked for the longest until `limit` bytes are left, and what was never written whole."""
    for part in folder.glob(".*.tmp"):
        with suppress(FileNotFoundError):
            if time.time() - part.stat().st_mtime > ABANDONED:
                part.unlink()
    kept = []
    for path in folder.glob("*.safetensors"):
        with suppress(FileNotFoundError):  # another process trims, too
            found = path.stat()
            kept.append((found.st_mtime_ns, found.st_size, path))
    kept.sort()
    size = sum(bytes for _, bytes, _ in kept)
    for _, bytes, path in kept:
        if size <= limit:
            return
        path.unlink(missing_ok=True)
        size -= bytes


def _path(folder: Path, key: str) -> Path:
    if not key.isalnum():
        raise ValueError(f"key: expected letters and digits, got {key[:80]!r}")
    return folder / f"{key}.safetensors"
