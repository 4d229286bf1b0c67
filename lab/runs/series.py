"""The series of a run, read as it grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class Series:
    """The rows of a run's metrics.jsonl; each `read` looks only at what was written since the last."""

    def __init__(self, folder: Path):
        self._path = folder / "metrics.jsonl"
        self._read = 0
        self._rows: dict[int, dict[str, Any]] = {}

    def read(self) -> list[dict[str, Any]]:
        """All rows up to now, in the order of steps, as `engine.record.rows` gives them."""
        from engine.record import merge_rows

        try:
            with open(self._path, "rb") as file:
                file.seek(self._read)
                news = file.read()
        except FileNotFoundError:
            return []
        news = news[: news.rfind(b"\n") + 1]
        self._read += len(news)
        self._rows = merge_rows(news.decode().splitlines(), self._rows)
        return list(self._rows.values())
