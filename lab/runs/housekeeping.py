"""What runs take on the disk, what hangs on a run, and which of its checkpoints may go."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.best import Figure
from lab.home import ID, check_writable, home, runs_folder
from lab.runs.run import Run


@dataclass(frozen=True)
class Use:
    """Bytes on the disk by what they are for."""

    checkpoints: int = 0
    media: int = 0
    log: int = 0
    rest: int = 0

    @property
    def total(self) -> int:
        return self.checkpoints + self.media + self.log + self.rest

    def __add__(self, other: Use) -> Use:
        return Use(*(mine + more for mine, more in zip(vars(self).values(), vars(other).values(), strict=True)))


def use(folder: Path) -> Use:
    """What a run's folder takes. A file with two names counts once; what vanishes meanwhile counts nothing."""
    sizes = {"checkpoints": 0, "media": 0, "log": 0, "rest": 0}
    seen = set()
    for path, _, names in os.walk(folder):
        part = Path(path).relative_to(folder).parts[:1]
        for name in names:
            try:
                found = os.lstat(os.path.join(path, name))
            except FileNotFoundError:
                continue
            if found.st_ino not in seen:
                seen.add(found.st_ino)
                kind = "log" if (part, name) == ((), "log.txt") else part[0] if part else "rest"
                kind = "checkpoints" if kind == "milestones" else kind
                sizes[kind if kind in sizes else "rest"] += found.st_blocks * 512
    return Use(**sizes)


@dataclass(frozen=True)
class Dependent:
    """Somebody who needs a run: a run that was cloned from it or starts from its files, or a sweep."""

    kind: Literal["run", "sweep"]
    id: str
    why: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id} {self.why}"


def dependents(ids: Iterable[str], besides: str = "") -> dict[str, list[Dependent]]:
    """For each of the runs `ids` that somebody outside of them needs, who. Files that are missing are no fault.

    besides: a sweep that does not count, for it goes with them.
    """
    asked = set(ids)
    found: dict[str, list[Dependent]] = {}
    for id in sorted(set(_names(runs_folder())) - asked):
        plan = _read(runs_folder() / id / "run.json") if ID.fullmatch(id) else {}
        for parent in asked & {str(plan.get("cloned_from"))}:
            found.setdefault(parent, []).append(Dependent("run", id, "was cloned from it"))
        words = " ".join(_texts(plan.get("values")))
        for parent in sorted(parent for parent in asked if parent in words):
            found.setdefault(parent, []).append(Dependent("run", id, "reads its files"))
    for name in sorted(set(_names(home() / "sweeps")) - {besides}):
        members = _read(home() / "sweeps" / name / "sweep.json").get("runs")
        for parent in sorted(asked & set(_texts(members))):
            found.setdefault(parent, []).append(Dependent("sweep", name, "holds it"))
    return found


def check_dependents(ids: Iterable[str], besides: str = "") -> None:
    """ValueError when somebody outside needs one of the runs. besides: as in `dependents`."""
    needed = dependents(ids, besides)
    if needed:
        says = "; ".join(f"run {id} is needed: {', '.join(map(str, who))}" for id, who in needed.items())
        raise ValueError(f"{says}. Delete it all the same with --needed")


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read(path: Path) -> Mapping[str, Any]:
    """A json record; {} when it is missing, damaged or something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _texts(tree: Any) -> Iterator[str]:
    """The strings in a tree of lists and records."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, (list, dict)):
        for item in tree.values() if isinstance(tree, dict) else tree:
            yield from _texts(item)


def best_step(run: Run, figure: Figure, kept: Sequence[int]) -> int:
    """The step, of those in `kept`, at which the figure's newest value was best. ValueError: it was never reported."""
    rows = run.series()
    course = [(row["step"], row[figure.name]) for row in rows if row.get(figure.name) is not None]
    told = {step: [value for at, value in course if at <= step][-1:] for step in kept}
    values = {step: value[0] for step, value in told.items() if value}
    if not values:
        figure.check({name for row in rows for name in row} - {"step", "time"})
        raise ValueError(f"keep_best: run {run.id} reported no {figure.name!r} before its checkpoints")
    return (max if figure.higher else min)(values, key=lambda step: values[step])


def thin(run: Run, last: int = 1, best: Figure | None = None) -> list[Path]:
    """Delete a run's checkpoints but the newest `last` sound ones and the best; what was deleted, oldest first.

    A torn checkpoint counts for nothing and is left to whoever looks into it. ValueError when the run lives.
    """
    if last < 1:
        raise ValueError(f"keep_last: {last} cannot be; at least one checkpoint is kept")
    if run.live:
        raise ValueError(f"run {run.id} is {run.state}: its checkpoints are its own; cancel or pause it first")
    check_writable(run.folder)
    sound = [(step, path) for step, path in run.checkpoints() if _opens(path)]
    if not sound:
        return []
    kept = {step for step, _ in sound[-last:]}
    if best:
        kept.add(best_step(run, best, [step for step, _ in sound]))
    gone = [path for step, path in sound if step not in kept]
    for path in gone:
        path.unlink()
    return gone


def _opens(path: Path) -> bool:
    """Whether a checkpoint is whole: its header is read, and its length is what the header says."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            return True
    except (SafetensorError, OSError):
        return False
