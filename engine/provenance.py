"""Where a run's numbers come from: provenance.json, written by the run at its start, readable without torch.

It holds what was asked, and what answered: data, code, packages, device, seeds. A resumed run compares: what has
changed since is replaced, and told in "changes" with what it was before.
"""

from __future__ import annotations

import json
import platform
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.files import replace_file
from engine.folder import Plan

if TYPE_CHECKING:
    from engine.bench import Bench

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "torchvision", "timm", "numpy", "opencv-python-headless", "pillow", "safetensors")


class Provenance:
    """The writer, held by the run. Whoever resumes gives the step of the checkpoint; None begins anew."""

    def __init__(self, folder: Path, plan: Plan, bench: Bench, resume: int | None):
        self._path = folder / "provenance.json"
        self._bench, self._resume = bench, resume or 0
        self._seen: set[tuple[str, str, int | None]] = set()
        self._told = read_provenance(folder) if resume is not None else {}
        now = {
            "method": plan.method, "params": dict(plan.values), "setup": dict(plan.setup),
            "seeds": {"seed": bench.setup.seed}, "data": {},
            "code": code(plan.method), "packages": packages(), "machine": machine(bench),
        }  # fmt: skip
        self._told = merge(self._told, now, self._resume) | {"started": self._told.get("started", time.time())}
        self._write()

    def note(self) -> None:
        """After a step: fingerprint the sets that the method has opened since the last time; nothing when none."""
        if self._bench.opened.keys() != self._seen:
            self._write()

    def _write(self) -> None:
        from engine.data.fingerprint import fingerprint

        fresh = self._bench.opened.keys() - self._seen
        self._seen |= fresh
        found = {_label(key): fingerprint(self._bench.opened[key], key[0]) for key in sorted(fresh, key=str)}
        self._told = merge(self._told, {"data": found}, self._resume)
        replace_file(self._path, json.dumps(self._told, indent=1).encode())


def read_provenance(folder: Path) -> dict[str, Any]:
    """provenance.json; {} for a run that has none, or whose file was damaged from outside."""
    try:
        told = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def merge(told: Mapping[str, Any], now: Mapping[str, Any], step: int) -> dict[str, Any]:
    """`told` brought up to date by `now`; each value that differs is added to "changes" with the step of the resume.

    What only one of them knows is no change: a set of data may be opened late, and a later version may tell more.
    """
    changes = list(told.get("changes", []))
    merged = _merged(told, now, (), step, changes)
    return merged | {"changes": changes}


def _merged(
    told: Mapping[str, Any], now: Mapping[str, Any], path: tuple[str, ...], step: int, changes: list[Any]
) -> dict[str, Any]:
    merged = dict(told)
    for name, value in now.items():
        before = told.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(before, value, (*path, name), step, changes)
            continue
        if name in told and before != value:
            changes.append({"step": step, "what": " ".join((*path, name)), "was": before, "now": value})
        merged[name] = value
    return merged


def code(method: str) -> dict[str, Any]:
    """The package's version; the commit, and whether files differ from it, in a checkout; the method's fingerprint."""
    from engine.receipts import fingerprint

    return {"visionarium": _version("visionarium"), **checkout(ROOT), "method": fingerprint(method)}


def checkout(root: Path) -> dict[str, Any]:
    """{"commit", "dirty"} of the git checkout whose top is `root`; {} where there is none, or no git."""
    if not (root / ".git").exists():
        return {}
    status = ("status", "--porcelain=v2", "--branch", "--untracked-files=no")
    command = ["git", "--no-optional-locks", "-C", str(root), *status]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):  # no git here, not our checkout, or too slow a disk
        return {}
    head, *rest = done.stdout.splitlines() or [""]
    return {"commit": head.rpartition(" ")[2], "dirty": any(not line.startswith("#") for line in rest)}


def packages() -> dict[str, str]:
    """The versions of what computes."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def machine(bench: Bench) -> dict[str, Any]:
    """Device, platform and threads: on a CPU the number of threads decides the last digits of a sum."""
    import torch

    from engine.receipts import machine as processor

    name = processor().partition(", torch")[0]
    cuda = torch.cuda.get_device_name(bench.device) if bench.device.type == "cuda" else None
    told = {"device": cuda or f"{bench.device.type}: {name}", "platform": platform.platform()}
    return told | ({"cuda": torch.version.cuda} if cuda else {"threads": torch.get_num_threads()})


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _label(key: tuple[str, str, int | None]) -> str:
    """How a set is called: "garments train", "folder:/pictures test at 64 px"."""
    spec, split, size = key
    return f"{spec} {split}" + (f" at {size} px" if size else "")
