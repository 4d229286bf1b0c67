"""The best checkpoint of a run by a number that it reports, kept beside the newest.

checkpoints/best.safetensors is a second name of that checkpoint, so it takes room only once the newest has moved on;
checkpoints/best.json tells {"figure", "value", "step"}.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.files import replace_file

if TYPE_CHECKING:
    from engine.method import Report

LOWER = ("loss", "error")
"""Words in a figure's name that say: less is better."""


@dataclass(frozen=True)
class Figure:
    """A reported number by which checkpoints are ranked."""

    name: str
    higher: bool

    @classmethod
    def read(cls, words: str) -> Figure:
        """From "accuracy", "accuracy:max" or "loss:min". Without a word for it, a loss or an error is better low."""
        name, _, way = words.rpartition(":")
        if name and way in ("min", "max"):
            return cls(name, way == "max")
        return cls(words, not any(word in words.lower() for word in LOWER))

    def check(self, names: Iterable[str]) -> None:
        """ValueError when it is none of the `names` that are reported."""
        there = sorted(set(names))
        if self.name not in there:
            raise ValueError(f"keep_best: no number {self.name!r} is reported; there are {', '.join(there) or 'none'}")


class Best:
    """Held by the run; goes on from what an earlier process kept."""

    def __init__(self, folder: Path, figure: Figure):
        self.figure = figure
        self._folder = folder / "checkpoints"
        told = best_of(folder)
        self._value = told["value"] if told.get("figure") == figure.name else None

    def improves(self, report: Report) -> bool:
        """Whether this report is better than all before. On a GPU this waits for the number."""
        value = float(report.get(self.figure.name, math.nan))
        if not math.isfinite(value):
            return False
        before = self._value
        if before is not None and not (value > before if self.figure.higher else value < before):
            return False
        self._value = value
        return True

    def keep(self, checkpoint: Path) -> None:
        """Give the checkpoint at which the figure was best its second name (a copy, on a disk without such)."""
        fresh, told = self._folder / ".best.tmp", {"figure": self.figure.name, "value": self._value}
        fresh.unlink(missing_ok=True)
        try:
            os.link(checkpoint, fresh)
        except OSError:
            shutil.copyfile(checkpoint, fresh)
        os.replace(fresh, self._folder / "best.safetensors")
        replace_file(self._folder / "best.json", json.dumps(told | {"step": int(checkpoint.stem)}).encode())


def best_of(folder: Path) -> dict[str, Any]:
    """best.json of a run; {} when no best is kept."""
    try:
        told = json.loads((folder / "checkpoints" / "best.json").read_text(encoding="utf-8"))
        return {"figure": str(told["figure"]), "value": float(told["value"]), "step": int(told["step"])}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}
