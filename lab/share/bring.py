"""A run's file brought in. It may come from anywhere: everything in it is checked before it becomes a run here.

Nothing in it is executed, and no path of its own is used as it stands: names must match `lab.share.archive.MEMBER`.
As its files are stored and not compressed, it cannot hold more than its own size.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, get_args

from engine.catalog import card
from engine.folder import Plan, State
from engine.record import merge_rows
from lab.home import ID, LEAST_FREE, check_writable, checked_name, new_run_folder, runs_folder
from lab.runs import Run
from lab.runs.leftovers import new_incoming
from lab.share.archive import CHUNK, FORMAT, MANIFEST, MEMBER

MOST_FILES, MOST_BYTES, MOST_JSON = 20_000, 64 << 30, 64 << 20
"""Files in a run's file; bytes in all of them; bytes of one json file."""
METHOD = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")


def bring(file: Path | IO[bytes], as_copy: bool = False) -> Run:
    """Make the run in `file` a run of this lab. as_copy: under a new id.

    ValueError says what is wrong with the file, or that the run is here already; then nothing has been changed.
    """
    name = file.name if isinstance(file, Path) else "the file"
    try:
        with zipfile.ZipFile(file) as bundle:
            return _bring(bundle, as_copy)
    except FileNotFoundError:
        raise ValueError(f"there is no file {file}") from None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError) as error:
        raise ValueError(f"{name} is no run's file, or was cut off ({error}); export it again") from None
    except _Wrong as wrong:
        raise ValueError(f"{name} cannot be brought in: {wrong}") from None


class _Wrong(ValueError):
    """What is wrong inside the file."""


def _bring(bundle: zipfile.ZipFile, as_copy: bool) -> Run:
    manifest = _manifest(bundle)
    id = str(manifest.get("id"))
    kept = bool(ID.fullmatch(id)) and not as_copy
    if kept and (runs_folder() / id).exists():
        raise ValueError(f"run {id} is here already; bring it in as a copy (--as-copy), or delete the one that is here")
    check_writable(runs_folder())
    size = sum(info.file_size for info in bundle.infolist())
    if shutil.disk_usage(runs_folder()).free < size + LEAST_FREE:
        raise ValueError(
            f"it needs {size >> 20} MB, and the disk of {runs_folder()} has not that much; free some space"
        )
    with new_incoming() as fresh:
        for row in manifest["files"]:
            _extract(bundle, row, fresh)
        check(fresh)
        (fresh / "control").mkdir()
        fresh.chmod(0o755)
        folder = runs_folder() / id if kept else new_run_folder()
        try:
            os.rename(fresh, folder)  # onto nothing or an empty folder; never onto a run
        except OSError as error:
            raise ValueError(f"run {folder.name} cannot be put into {folder.parent} ({error.strerror})") from None
    return Run(folder)


def _manifest(bundle: zipfile.ZipFile) -> dict[str, Any]:
    """The manifest, once it agrees with what the file holds and all of that is allowed."""
    infos = bundle.infolist()
    if len(infos) > MOST_FILES:
        raise _Wrong(f"it holds {len(infos):,} files; a run's has up to {MOST_FILES:,}")
    for info in infos:
        if info.filename != MANIFEST and not MEMBER.fullmatch(info.filename):
            raise _Wrong(f"it holds {info.filename[:80]!r}, which is no file of a run")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 0x1:
            raise _Wrong(f"{info.filename} is compressed or locked; bring in the file as it was exported")
        if info.external_attr >> 28 not in (0, 0o10):
            raise _Wrong(f"{info.filename} is a link or something else that is no plain file")
        if info.filename.endswith((".json", MANIFEST)) and info.file_size > MOST_JSON:
            raise _Wrong(f"{info.filename} has {info.file_size >> 20} MB; allowed are {MOST_JSON >> 20}")
    names = [info.filename for info in infos]
    if len(set(names)) < len(names):
        raise _Wrong("it holds a file twice")
    if sum(info.file_size for info in infos) > min(MOST_BYTES, _length(bundle)):
        raise _Wrong("its files overlap, or are larger than allowed")
    try:
        manifest = json.loads(bundle.read(MANIFEST))
        listed = {row["path"]: (row["bytes"], row["sha256"]) for row in manifest["files"]}
        known = manifest["format"] == FORMAT
    except (KeyError, TypeError, ValueError, RecursionError):
        raise _Wrong(f"it has no {MANIFEST} that can be read, so it is no run's file") from None
    if not known:
        raise _Wrong(f"it is of the form {str(manifest['format'])[:40]!r}; this version reads {FORMAT}")
    if listed.keys() != set(names) - {MANIFEST} or len(listed) != len(manifest["files"]):
        raise _Wrong("its manifest lists other files than it holds")
    return manifest


def _length(bundle: zipfile.ZipFile) -> int:
    """The bytes of the whole file."""
    file = bundle.fp
    if file is None:
        raise _Wrong("it was closed")
    return file.seek(0, os.SEEK_END)


def _extract(bundle: zipfile.ZipFile, row: dict[str, Any], folder: Path) -> None:
    """Write one file; its size and hash must be those of the manifest."""
    path = folder / row["path"]
    path.parent.mkdir(exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with bundle.open(row["path"]) as source, open(path, "xb") as target:
        while piece := source.read(CHUNK):
            digest.update(piece)
            size += len(piece)
            target.write(piece)
    if (size, digest.hexdigest()) != (row["bytes"], row["sha256"]):
        raise _Wrong(f"{row['path']} is damaged: it has not the hash that the manifest tells; export it again")


def check(folder: Path) -> None:
    """Whether the pages and the command line can live with what is in a run's folder; ValueError when not."""
    try:
        plan = Plan.read(folder)
    except ValueError as error:
        raise _Wrong(str(error).replace(f"{folder}/", "its ")) from None
    if not isinstance(plan.method, str) or not METHOD.fullmatch(plan.method):
        raise _Wrong(f"its method is {str(plan.method)[:80]!r}")
    card(plan.method)  # says that this method is not here
    checked_name(_must(plan.name, lambda name: isinstance(name, str), "name"))
    for name in ("visitor", "cloned_from", "moment"):
        _must(getattr(plan, name), lambda value: isinstance(value, str) and len(value) <= 200, name)
    _must(plan.created, lambda created: _number(created) and 0 <= created < 1e11, "time")
    for part in (plan.values, plan.setup):
        _must(part, lambda part: isinstance(part, dict), "knobs")
    told = _json(folder / "state.json")
    for name in ("step", "steps", "peak_mb", "pid"):
        _must(told.get(name), lambda value: value is None or (type(value) is int and 0 <= value < 1 << 63), name)
    for name in ("cause", "hint", "device"):
        _must(told.get(name), lambda value: value is None or isinstance(value, str), name)
    _must(told.get("state"), lambda state: state is None or state in get_args(State), "state")
    provenance = _json(folder / "provenance.json")
    _must(provenance.get("changes", []), lambda rows: all(isinstance(row, dict) for row in rows), "changes")
    _check_series(folder)
    _check_tensors(folder)


def _check_series(folder: Path) -> None:
    path = folder / "metrics.jsonl"
    if not path.exists():
        return
    try:
        with open(path, encoding="utf-8") as file:
            for row in merge_rows(file).values():
                _must(row["step"], lambda step: type(step) is int and 0 <= step < 1 << 63, "step")
                _must(row, lambda row: all(value is None or _number(value) for value in row.values()), "number")
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, RecursionError):
        raise _Wrong("its metrics.jsonl is no series of numbers") from None


def _check_tensors(folder: Path) -> None:
    from safetensors import SafetensorError, safe_open

    for path in folder.glob("*/*.safetensors"):
        if path.parent.name == "media" and not path.stem.isdecimal():
            raise _Wrong(f"media/{path.name} is not named by its step")
        try:
            with safe_open(path, framework="numpy"):
                pass
        except (SafetensorError, OSError) as error:
            raise _Wrong(f"{path.parent.name}/{path.name} cannot be opened ({error})") from None


def _json(path: Path) -> dict[str, Any]:
    """A json file that may be missing, and must be a record."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        raise _Wrong(f"its {path.name} is damaged") from None
    return _must(found, lambda found: isinstance(found, dict), path.name)


def _must(value: Any, holds: Callable[[Any], bool], what: str) -> Any:
    """`value`, when `holds`."""
    if not holds(value):
        raise _Wrong(f"its {what} is {str(value)[:80]!r}, which cannot be")
    return value


def _number(value: Any) -> bool:
    """Whether it is a finite number that a float holds."""
    return (type(value) is float and math.isfinite(value)) or (type(value) is int and abs(value) < 1 << 63)
