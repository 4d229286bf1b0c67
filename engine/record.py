"""What a run leaves behind: series, pictures, checkpoints. Written by the run, read by anyone, also without torch.

metrics.jsonl            one row a step: {"step": 3, "time": 0.8, "loss": 1.2}; {"resume": 3} cancels later rows
media/00000003.safetensors   the tensors and strings reported at step 3
probe/points.safetensors     the pinned test images of the embedding probe: thumbnails, labels, names of the classes
probe/00000003.safetensors   their features at step 3 (see engine.probe)
checkpoints/00000003.safetensors   the last two; one that could not be opened is set aside as 00000003.torn
milestones/00000003.safetensors    up to nine over the whole course, without what it takes to resume: to look through
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from engine.files import replace_file

if TYPE_CHECKING:
    from engine.checkpoint import Checkpoint
    from engine.method import Report

KEPT_CHECKPOINTS = 2
MILESTONES, LIGHT = 9, 32 << 20
"""Milestones that remain of a run, and bytes up to which weights are kept as such."""


class NotFinite(FloatingPointError):
    """A loss that is not finite any more, reported at `step`."""

    def __init__(self, says: str, step: int):
        super().__init__(says)
        self.step = step


def write_values(path: Path, values: Mapping[str, Any], note: Mapping[str, Any] | None = None) -> None:
    """Store named numbers, tensors and sequences of strings in one safetensors file, atomically.

    Floats become float32, pictures in [0, 1] (N, C, H, W) with one or three channels become uint8.
    """
    arrays: dict[str, np.ndarray] = {}
    words: dict[str, list[str]] = {}
    for name, value in values.items():
        if isinstance(value, Sequence):
            words[name] = [str(word) for word in value]
        else:
            arrays[name] = compact(value)
    header = {"words": json.dumps(words), "note": json.dumps(dict(note or {}))}
    replace_file(path, save(arrays, metadata=header))


def compact(value: Any) -> np.ndarray:
    """One number or tensor as `write_values` stores it."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value
    array = np.asarray(value, order="C")
    if array.dtype.kind == "f":
        array = array.astype(np.float32)
        picture = array.ndim == 4 and array.shape[1] in (1, 3) and array.size
        if picture and array.min() >= -1e-3 and array.max() <= 1 + 1e-3:
            array = (array * 255).round().clip(0, 255).astype(np.uint8)
    return array


def read_values(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `write_values` stored: the values (arrays, lists of strings) and the note."""
    with safe_open(path, framework="numpy") as file:
        header = file.metadata() or {}
        values: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return values | json.loads(header.get("words", "{}")), json.loads(header.get("note", "{}"))


class Record:
    """The writer, held by the run. `step` must not decrease, but after `resume`: what came later is then cancelled."""

    def __init__(self, folder: Path, *, resume: int = 0, seconds: float = 0.0):
        self.folder = folder
        (folder / "media").mkdir(parents=True, exist_ok=True)
        (folder / "checkpoints").mkdir(exist_ok=True)
        for left in folder.glob("*/.*.tmp"):  # half written when an earlier process was killed
            left.unlink()
        self._file = open(folder / "metrics.jsonl", "a", encoding="utf-8")  # noqa: SIM115 - open as long as the run
        if not _ends_a_line(folder / "metrics.jsonl"):
            self._file.write("\n")
        self._waiting: list[tuple[int, float, dict[str, Any]]] = []
        self._started, self._flushed = time.monotonic() - seconds, time.monotonic()
        if self._file.tell():
            self._file.write(json.dumps({"resume": resume}) + "\n")
            self._file.flush()
        for step, path in [each for name in ("media", "probe", "milestones") for each in _numbered(folder / name)]:
            if step > resume:
                path.unlink()

    def write(self, step: int, report: Report, *, media: bool) -> None:
        """Take a report: numbers always, the rest when `media`. Device numbers are fetched a second at a time."""
        numbers = {name: value for name, value in report.items() if is_number(value)}
        self._waiting.append((step, time.monotonic() - self._started, numbers))
        rest = {name: value for name, value in report.items() if name not in numbers}
        if media and rest:
            write_values(self.folder / "media" / f"{step:08d}.safetensors", rest)
        if time.monotonic() - self._flushed > 0.5:
            self.flush()

    def flush(self) -> None:
        """Put all rows on file. NotFinite names the first loss that is not finite."""
        bad: NotFinite | None = None
        for step, seconds, numbers in self._waiting:
            found = {name: float(value) for name, value in numbers.items()}
            shown = {name: number if math.isfinite(number) else None for name, number in found.items()}
            self._file.write(json.dumps({"step": step, "time": round(seconds, 3)} | shown) + "\n")
            bad = bad or bad_loss(step, found)
        self._waiting, self._flushed = [], time.monotonic()
        self._file.flush()
        if bad:
            raise bad

    def save(self, checkpoint: Checkpoint) -> Path:
        """Keep `checkpoint` and the one before it."""
        from engine.checkpoint import write_checkpoint

        path = self.folder / "checkpoints" / f"{checkpoint.step:08d}.safetensors"
        write_checkpoint(path, checkpoint)
        for _, old in _numbered(self.folder / "checkpoints")[:-KEPT_CHECKPOINTS]:
            old.unlink()
        return path

    def mark(self, checkpoint: Checkpoint) -> None:
        """Keep the weights of this step as a milestone, if they are light; all that are kept stay evenly spread."""
        from engine.checkpoint import write_checkpoint

        if sum(value.nbytes for value in checkpoint.weights.values()) > LIGHT:
            return
        (self.folder / "milestones").mkdir(exist_ok=True)
        write_checkpoint(self.folder / "milestones" / f"{checkpoint.step:08d}.safetensors", checkpoint)
        kept = _numbered(self.folder / "milestones")
        if len(kept) > MILESTONES:
            kept[most_crowded([step for step, _ in kept])][1].unlink()

    def __enter__(self) -> Record:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """All rows are put on file, also before an error goes on; a second one would hide it."""
        with suppress(*[Exception] if error else []), self._file:
            self.flush()


def bad_loss(step: int, report: Report) -> NotFinite | None:
    """The error that names the first loss among a report's numbers that is not finite; None when all are."""
    for name, value in report.items():
        if "loss" in name and is_number(value) and not math.isfinite(value):
            return NotFinite(f"{name} became {float(value)} at step {step}", step)
    return None


def is_number(value: Any) -> bool:
    """Whether a reported value belongs to the series."""
    return isinstance(value, (int, float)) or (hasattr(value, "ndim") and value.ndim == 0)


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    return sorted((int(path.stem), path) for path in folder.glob("[0-9]*.safetensors"))


def most_crowded(steps: Sequence[int]) -> int:
    """The place, neither first nor last, of the step whose neighbours are nearest to one another; of equals the first.

    Taken out one at a time, those that remain of an even row are at most thrice as far apart in one place as in another
    (but for the newest), however long the row grows.
    """
    return min(range(1, len(steps) - 1), key=lambda place: steps[place + 1] - steps[place - 1])


def milestones(folder: Path) -> list[tuple[int, Path]]:
    """(step, path) of the weights of a run that can be looked through but not resumed, oldest first."""
    return _numbered(folder / "milestones")


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(step, path) of a run's checkpoints, oldest first."""
    return _numbered(folder / "checkpoints")


def media(folder: Path) -> list[tuple[int, Path]]:
    """(step, path) of a run's stored pictures and tensors, oldest first."""
    return _numbered(folder / "media")


def pin_points(folder: Path, thumbnails: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> None:
    """Store the probe's images, once: uint8 (N, C, H, W), int64 (N,) with -1 where unknown, and the classes' names."""
    (folder / "probe").mkdir(exist_ok=True)
    values = {"thumbnails": thumbnails, "labels": labels, "classes": list(classes)}
    write_values(folder / "probe" / "points.safetensors", values)


def write_probe(folder: Path, step: int, features: np.ndarray, note: Mapping[str, Any]) -> None:
    """Store the features (n, D) float16 of the first n pinned images. note: "images" n, "of", "seconds"."""
    header = {"note": json.dumps(dict(note))}
    replace_file(folder / "probe" / f"{step:08d}.safetensors", save({"features": features}, metadata=header))


def probes(folder: Path) -> list[tuple[int, Path]]:
    """(step, path) of a run's probes, oldest first, for `read_values`: "features" (n, D), no rows where time was
    short."""
    return _numbered(folder / "probe")


def merge_rows(lines: Iterable[str], rows: dict[int, dict[str, Any]] | None = None) -> dict[int, dict[str, Any]]:
    """Lines of metrics.jsonl as rows by step, on top of `rows`: what a resume cancelled is gone, a step has one row.

    A line that a killed run or a full disk left half written is passed over.
    """
    merged = {} if rows is None else rows
    for row in parse_lines(list(lines)):
        if "resume" in row:
            merged = {step: kept for step, kept in merged.items() if step <= row["resume"]}
        else:
            merged.setdefault(row["step"], {}).update(row)
    return merged


def parse_lines(lines: Sequence[str]) -> list[dict[str, Any]]:
    """Each line's JSON, without the lines that are none. All in one go, which is twice as fast, when all are whole."""
    try:
        found = json.loads(f"[{','.join(lines)}]")
        if len(found) == len(lines):
            return found
    except json.JSONDecodeError:
        pass
    found = []
    for line in lines:
        with suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


def rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of a run, in the order of steps; a row still being written is left for the next time."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return []
    with open(path, encoding="utf-8") as file:
        return list(merge_rows(file).values())


def _ends_a_line(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        if file.tell() == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
