"""A run as one file: a zip, stored and not compressed, with a manifest of sizes and hashes.

What is taken: run.json, state.json, provenance.json, metrics, pictures, checkpoints, log, and whatever other record of
these kinds lies in the folder. Not taken: locks, wishes, the reserve, links, half-written files.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from io import RawIOBase
from pathlib import Path
from typing import IO, Any

from engine.folder import State
from lab.runs import LIVE, Run

FORMAT = "visionarium-run-1"
MANIFEST = "manifest.json"
MEMBER = re.compile(
    r"[a-z][a-z0-9_-]{0,63}\.(json|jsonl|txt)|(?!control/)[a-z][a-z0-9_-]{0,63}/(\d{1,12}|[a-z][a-z0-9_-]{0,63})\.(safetensors|json|jsonl)"
)
"""The relative paths that a run's file may hold: nothing absolute, nothing upwards, nothing hidden, no third level."""
WEIGHTS = ("checkpoints/", "milestones/")
"""What is left out with the checkpoints, and may be deleted by a run that lives."""
CHUNK = 1 << 20


def members(folder: Path, checkpoints: bool = True) -> list[str]:
    """The relative paths of a run's folder that travel, sorted; without checkpoints where they are not wanted."""
    below = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    found = [path for place in (folder, *below) for path in place.iterdir() if path.is_file() and not path.is_symlink()]
    names = [path.relative_to(folder).as_posix() for path in found]
    wanted = [name for name in names if MEMBER.fullmatch(name) and name != MANIFEST]
    return sorted(name for name in wanted if checkpoints or not name.startswith(WEIGHTS))


def stream(run: Run, checkpoints: bool = True) -> Iterator[bytes]:
    """The bytes of the file, piece by piece: nothing is kept in memory or on the disk.

    Of a run that lives, what is finished: rows up to now, and the checkpoints of this moment, even if the run deletes
    them meanwhile. They are read before the rows, so that no rows before a checkpoint are missing. There it is paused.
    """
    pipe, rows, state = _Pipe(), [], run.state
    with ExitStack() as held, zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as bundle:
        names, opened = _hold(run.folder, checkpoints, held)
        for name in names:
            digest, size = hashlib.sha256(), 0
            try:
                source = opened.get(name) or held.enter_context(open(run.folder / name, "rb"))
            except FileNotFoundError:
                if run.folder.is_dir():
                    continue  # a run that is resumed takes back the pictures of later steps
                raise
            if name == "state.json" and state in LIVE:
                source = io.BytesIO(json.dumps(_as_paused(run, state, names)).encode())
            with source, bundle.open(name, "w", force_zip64=True) as target:
                left = _finished(source)
                while piece := source.read(min(CHUNK, left - size)):
                    digest.update(piece)
                    size += len(piece)
                    target.write(piece)
                    yield pipe.take()
            rows.append({"path": name, "bytes": size, "sha256": digest.hexdigest()})
        manifest = {"format": FORMAT, "id": run.id, "method": run.plan.method, "state": state, "files": rows}
        bundle.writestr(MANIFEST, json.dumps(manifest, indent=1))
        yield pipe.take()
    yield pipe.take()


def _hold(folder: Path, checkpoints: bool, held: ExitStack) -> tuple[list[str], dict[str, IO[bytes]]]:
    """The members, and the files of those that a living run deletes, kept open: so they can be read to their end."""
    while True:
        names = members(folder, checkpoints)
        try:
            return names, {
                name: held.enter_context(open(folder / name, "rb")) for name in names if name.startswith(WEIGHTS)
            }
        except FileNotFoundError:  # deleted between the two looks: look again
            continue


def _finished(file: IO[bytes]) -> int:
    """How many bytes of a file count: of one that grows by lines, those up to the last whole line."""
    size = file.seek(0, os.SEEK_END)
    lines, at = Path(str(getattr(file, "name", ""))).suffix == ".jsonl", size
    while lines and at:
        start = max(0, at - CHUNK)
        file.seek(start)
        if found := file.read(at - start).rfind(b"\n") + 1:
            size = start + found
            break
        at = start
    file.seek(0)
    return size


def _as_paused(run: Run, state: State, names: Sequence[str]) -> dict[str, Any]:
    """state.json as it is in the copy of a run that lives."""
    steps = [int(Path(name).stem) for name in names if Path(name).match("checkpoints/[0-9]*.safetensors")]
    ways = (
        f"from its checkpoint of step {max(steps):,}" if steps else "from its beginning, for it had no checkpoint yet"
    )
    told = {key: value for key, value in run.told.items() if key != "pid"}
    return told | {"state": "paused", "cause": f"copied while it was {state}; Resume goes on {ways}", "hint": None}


def export(run: Run, path: Path, checkpoints: bool = True) -> int:
    """Write the file; its size in bytes. OSError: nothing is left under `path`."""
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
