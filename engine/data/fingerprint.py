"""Whether data is the same: a hash of what a set holds, and of the files that it was read from.

Two hashes, because each sees what the other misses. `content` is over the rows as a method gets them, wherever they
lie; `files` is over the names and sizes of all files under a path, so that an image more or less is noticed in a set
of a million. Times do not count: a copy of a folder is the same data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.data.base import Batch, Dataset, Memory
from engine.data.paths import walk

WHOLE = 32 << 20
"""Bytes up to which a set in memory is hashed whole."""
SAMPLE = 64
"""Images at even distances that stand for a larger set."""
PIECE = 8 << 20
"""Bytes at the start and at the end that stand for a large file."""


def fingerprint(dataset: Dataset, spec: str) -> dict[str, Any]:
    """{"images", "content", "over"}, and for a spec with a path {"files", "of"}: the hashes and what they are over."""
    rows, over = _sampled(dataset)
    content = hashlib.sha256(repr((vars(dataset.facts), len(dataset))).encode())
    for piece in _pieces(rows):
        content.update(piece)
    found = {"images": len(dataset), "content": content.hexdigest()[:16], "over": over}
    path = Path(spec.partition(":")[2]).expanduser()
    return found | (files(path) if path.is_absolute() and path.exists() else {})


def _sampled(dataset: Dataset) -> tuple[Batch, str]:
    """The rows to hash, and which they are in words."""
    if isinstance(dataset, Memory) and dataset.rows.images.nbytes <= WHOLE:
        return dataset.rows, "every image with all that is known of it"
    count = min(SAMPLE, len(dataset))
    return dataset.batch(torch.arange(count) * len(dataset) // count), f"{count} images at even distances"


def _pieces(rows: Batch) -> Iterator[bytes]:
    """Name, shape and bytes of each tensor of a batch, in the order of its fields."""
    for field in fields(rows):
        value = getattr(rows, field.name)
        tensors = [] if value is None else [value] if isinstance(value, Tensor) else value
        for tensor in tensors:
            yield repr((field.name, tuple(tensor.shape), str(tensor.dtype))).encode()
            yield tensor.detach().cpu().contiguous().numpy().tobytes()


def files(path: Path) -> dict[str, str]:
    """{"files", "of"}: a folder's names and sizes, or a file's bytes (of a large one, its two ends and its size)."""
    whole = hashlib.sha256()
    if path.is_dir():
        count = 0
        for folder, names in walk(path):
            for name in names:
                whole.update(f"{(folder / name).relative_to(path).as_posix()}\0{_size(folder / name)}\n".encode())
                count += 1
        return {"files": whole.hexdigest()[:16], "of": f"names and sizes of {count:,} files"}
    size = path.stat().st_size
    with open(path, "rb") as file:
        whole.update(f"{size}\n".encode() + file.read(PIECE))
        if size > 2 * PIECE:
            file.seek(-PIECE, 2)
        while piece := file.read(PIECE):
            whole.update(piece)
    return {"files": whole.hexdigest()[:16], "of": path.name if size <= 2 * PIECE else f"both ends of {path.name}"}


def _size(path: Path) -> int:
    """Bytes of a file; -1 when it cannot be asked, as for a link that leads nowhere."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
