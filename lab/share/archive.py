"""A run as one file: a zip, stored and not compressed, with a manifest of sizes and hashes.

What is taken: run.json, state.json, provenance.json, metrics, pictures, checkpoints, log, and whatever other record of
these kinds lies in the folder. Not taken: locks, wishes, the reserve, links, half-written files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Iterator
from io import RawIOBase
from pathlib import Path
from typing import Any

from lab.runs import Run

FORMAT = "visionarium-run-1"
MANIFEST = "manifest.json"
MEMBER = re.compile(
    r"[a-z][a-z0-9_-]{0,63}\.(json|jsonl|txt)|(?!control/)[a-z][a-z0-9_-]{0,63}/(\d{1,12}|[a-z][a-z0-9_-]{0,63})\.(safetensors|json|jsonl)"
)
"""The relative paths that a run's file may hold: nothing absolute, nothing upwards, nothing hidden, no third level."""
CHUNK = 1 << 20


def members(folder: Path, checkpoints: bool = True) -> list[str]:
    """The relative paths of a run's folder that travel, sorted; without checkpoints where they are not wanted."""
    below = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    found = [path for place in (folder, *below) for path in place.iterdir() if path.is_file() and not path.is_symlink()]
    names = [path.relative_to(folder).as_posix() for path in found]
    wanted = [name for name in names if MEMBER.fullmatch(name) and name != MANIFEST]
    return sorted(name for name in wanted if checkpoints or not name.startswith("checkpoints/"))


def stream(run: Run, checkpoints: bool = True) -> Iterator[bytes]:
    """The bytes of the file, piece by piece: nothing is kept in memory or on the disk. `must_rest` first."""
    pipe = _Pipe()
    rows = []
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as bundle:
        for name in members(run.folder, checkpoints):
            digest, size = hashlib.sha256(), 0
            with open(run.folder / name, "rb") as source, bundle.open(name, "w", force_zip64=True) as target:
                while piece := source.read(CHUNK):
                    digest.update(piece)
                    size += len(piece)
                    target.write(piece)
                    yield pipe.take()
            rows.append({"path": name, "bytes": size, "sha256": digest.hexdigest()})
        manifest = {"format": FORMAT, "id": run.id, "method": run.plan.method, "files": rows}
        bundle.writestr(MANIFEST, json.dumps(manifest, indent=1))
        yield pipe.take()
    yield pipe.take()


def must_rest(run: Run) -> None:
    """ValueError when the run lives: its files would change while they are copied."""
    if run.live:
        raise ValueError(f"run {run.id} is {run.state}: pause it, or wait until it ends, to have it as one file")


def export(run: Run, path: Path, checkpoints: bool = True) -> int:
    """Write the file; its size in bytes. ValueError when it is not the time; OSError: nothing is left under `path`."""
    must_rest(run)
    return write(path, stream(run, checkpoints))


def write(path: Path, pieces: Iterator[bytes]) -> int:
    """Write `pieces` so that `path` holds all of them or does not exist. FileExistsError when it does already."""
    if path.exists():
        raise FileExistsError(f"{path} exists already; choose another name with --out, or remove it")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        size = temporary.stat().st_size
        os.replace(temporary, path)
        return size
    except FileNotFoundError as error:
        if path.parent.is_dir():
            raise
        raise FileNotFoundError(f"there is no folder {path.parent}; make it first") from error
    finally:
        temporary.unlink(missing_ok=True)


class _Pipe(RawIOBase):
    """What zipfile writes into: it cannot go back, and is emptied as it fills."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._waiting.append(bytes(piece))
        return len(piece)

    def take(self) -> bytes:
        """What was written since the last time."""
        piece, self._waiting = b"".join(self._waiting), []
        return piece
