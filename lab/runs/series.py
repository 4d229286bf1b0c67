"""The series of a run, read as it grows."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class Series:
    """The rows of a run's metrics.jsonl; each `read` looks only at what is new. Threads may share it."""

    def __init__(self, folder: Path):
        self._path = folder / "metrics.jsonl"
        self._lock = RLock()
        self._read, self._file = 0, 0
        self._rows: dict[int, dict[str, Any]] = {}
        self._list: list[dict[str, Any]] = []
        self._points: dict[str, tuple[int, np.ndarray]] = {}
        """name -> how many rows were looked at, and the points found in them."""

    def read(self) -> list[dict[str, Any]]:
        """All rows up to now, in the order of steps, as `engine.record.rows` gives them."""
        from engine.record import merge_rows

        with self._lock:
            news = self._news()
            if news:
                lines, before = news.decode(errors="replace").splitlines(), len(self._rows)
                self._rows = merge_rows(lines, self._rows)
                if len(self._rows) != before + len(lines):  # not only new rows: what is known of old ones may be wrong
                    self._points = {}
                self._list = list(self._rows.values())
            return self._list

    def points(self, name: str) -> np.ndarray:
        """(N, 2): step and value of the number `name`, as of the last `read`; rows without it are left out."""
        import numpy as np  # a supervisor, which imports this package, needs none

        with self._lock:
            seen, points = self._points.get(name, (0, np.empty((0, 2))))
            found = [(row["step"], row[name]) for row in self._list[seen:] if row.get(name) is not None]
            if found:
                points = np.concatenate([points, np.asarray(found, np.float64)])
            self._points[name] = len(self._list), points
            return points

    def _news(self) -> bytes:
        """The whole lines that were written since the last time."""
        try:
            with open(self._path, "rb") as file:
                told = os.fstat(file.fileno())
                if told.st_size < self._read or told.st_ino != self._file:  # another file under this name
                    self._read, self._rows, self._list, self._points = 0, {}, [], {}
                self._file = told.st_ino
                file.seek(self._read)
                news = file.read()
        except FileNotFoundError:
            return b""
        news = news[: news.rfind(b"\n") + 1]
        self._read += len(news)
        return news


@lru_cache(maxsize=32)
def series_of(folder: Path) -> Series:
    """The series of a run as all visitors of this process share it: who comes later finds it read."""
    return Series(folder)
