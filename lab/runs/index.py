"""The list of runs. A copy in SQLite spares reading a thousand small files; it is never the truth.

Missing or damaged, it is made again; locked or on a disk that cannot be written, the folders are read instead.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from engine.folder import Plan, read_state
from lab.home import ID, home, run_folder, runs_folder
from lab.runs.run import Copy, Run, stamp

TABLE = "CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, stamp TEXT, plan TEXT, told TEXT) WITHOUT ROWID"
PATIENCE = 0.25
"""Seconds to wait for another process's write."""


def all_runs() -> list[Run]:
    """The runs in the lab's home, newest first. A folder without a readable plan is no run."""
    folder = runs_folder()
    ids = sorted((name for name in os.listdir(folder) if ID.fullmatch(name)), reverse=True)
    stamps = {id: stamp(folder / id) for id in ids}
    known = _remembered()
    fresh: dict[str, Copy] = {}
    runs = []
    for id in ids:
        copy = known.get(id)
        if copy is None or copy.stamp != stamps[id]:
            try:
                copy = fresh[id] = Copy(stamps[id], Plan.read(folder / id), read_state(folder / id))
            except ValueError:
                continue
        runs.append(Run(folder / id, copy))
    _remember(fresh, known.keys() - stamps.keys())
    return runs


def find(id: str) -> Run:
    """The run `id`. ValueError when it is no id or there is no such run."""
    run = Run(run_folder(id))
    run.plan  # noqa: B018 - a folder without a plan is no run
    return run


def _path() -> Path:
    return home() / "index.sqlite"


def _open() -> sqlite3.Connection:
    base = sqlite3.connect(_path(), timeout=PATIENCE)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=NORMAL")
    base.execute(TABLE)
    return base


def _remembered() -> dict[str, Copy]:
    try:
        with closing(_open()) as base:
            rows = base.execute("SELECT id, stamp, plan, told FROM runs").fetchall()
        return {id: Copy(stamp, Plan(**json.loads(plan)), json.loads(told)) for id, stamp, plan, told in rows}
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        _drop_when_useless(error)
        return {}


def _remember(fresh: dict[str, Copy], gone: Iterable[str]) -> None:
    rows = [(id, copy.stamp, json.dumps(vars(copy.plan)), json.dumps(copy.told)) for id, copy in fresh.items()]
    old = [(id,) for id in gone]
    if not rows and not old:
        return
    try:
        with closing(_open()) as base, base:
            base.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", rows)
            base.executemany("DELETE FROM runs WHERE id = ?", old)
    except sqlite3.DatabaseError as error:  # the next list tries again
        _drop_when_useless(error)


def _drop_when_useless(error: Exception) -> None:
    """Delete the copy, to be made again, when it is damaged or another version's; not when it is only out of reach.

    It is that when locked, on a disk that cannot be written, or when something else has taken its name.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR:
        return
    with suppress(OSError):
        for ending in ("", "-wal", "-shm"):
            Path(f"{_path()}{ending}").unlink(missing_ok=True)
