"""A look at a run before it is planned: the engine's pre-flight in a process of its own, and its answer in words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from engine.lock import holder
from engine.preflight import LIMIT, Preflight
from lab.home import home
from lab.runs.check import rooted
from lab.runs.executors import environment

if TYPE_CHECKING:
    from engine.params import Params

GRACE = 120.0
"""Seconds after which a check that does not answer is ended: on a busy machine, torch alone can take a minute."""


class Checking:
    """A pre-flight under way. It leaves nothing behind, and ends by itself when nobody asks any more."""

    def __init__(self, method_id: str, params: Params, setup: Params, limit: float = LIMIT):
        params = rooted(params)
        plan = {"method": method_id, "values": params.model_dump(mode="json"), "setup": setup.model_dump(mode="json")}
        self._answer, self._log = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - read at the end
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.preflight", str(limit)], env=environment(), start_new_session=True,
            stdin=subprocess.PIPE, stdout=self._answer, stderr=self._log,
        )  # fmt: skip
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(json.dumps(plan).encode())

    @property
    def seconds(self) -> float:
        """How long it has been at it."""
        return time.monotonic() - self._began

    def answer(self) -> Preflight | None:
        """What it found; None while it looks. ValueError when it ended without an answer."""
        if self._process.poll() is None:
            if self.seconds < GRACE + LIMIT:
                return None
            self.stop()
            raise ValueError(f"the check gave no answer in {self.seconds:.0f} s; the machine is too busy for it")
        self._end_children()
        if self._process.returncode == -signal.SIGKILL:
            return Preflight(problems=["it was killed, as the system does when memory runs out; lower batch or size"])
        self._answer.seek(0)
        if self._process.returncode:
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").strip().splitlines()
            raise ValueError(f"the check failed: {lines[-1] if lines else self._process.returncode}")
        found = Preflight.read(self._answer.read().decode())
        if others := computing():
            found.remarks.append(f"beside {others} run{'s' if others > 1 else ''} at work; alone it is faster")
        return found

    def wait(self) -> Preflight:
        """The answer, once it is there."""
        while (found := self.answer()) is None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.5)
        return found

    def stop(self) -> None:
        """End it now."""
        self._end_children()
        self._process.wait()

    def _end_children(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def computing() -> int:
    """How many runs have a place on a device now."""
    return sum(holder(place) is not None for place in (home() / "devices").glob("*/*-*.lock"))


def facts(found: Preflight, now: float) -> dict[str, str]:
    """What was measured, in words, by what it is. now: seconds since the epoch."""
    rows: dict[str, str] = {}
    if found.peak_mb is not None:
        each = f", for each of {found.ranks} processes" if found.ranks > 1 else ""
        rows["memory"] = f"{found.peak_mb:,} MB of {found.room_mb:,} MB ({found.device}){each}"
    for name, seconds in (("first step", found.first_seconds), ("one step", found.step_seconds)):
        if seconds is not None:
            rows[name] = span(seconds)
    if found.look_seconds is not None:
        rows["evaluation"] = f"{span(found.look_seconds)} more"
    if found.seconds is not None and found.ok:
        rows["ends"] = f"at about {clock(now + found.seconds, now)} (in {span(found.seconds)})"
    return rows


def verdict(found: Preflight) -> str:
    """The answer in a sentence."""
    if found.ok:
        return "it will run" if found.measured else "nothing speaks against it, but not one step was seen"
    return "it would fail"


def span(seconds: float) -> str:
    """A length of time: 2.3 ms, 0.41 s, 48 s, 12 minutes, 3.4 hours, 2.1 days."""
    for unit, size in (("days", 86400.0), ("hours", 3600.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    if seconds >= 120:
        return f"{seconds / 60:.0f} minutes"
    if seconds >= 10:
        return f"{seconds:.0f} s"
    return f"{seconds:.2g} s" if seconds >= 0.1 else f"{1000 * seconds:.2g} ms"


def clock(then: float, now: float) -> str:
    """The time of day, with the date when it is another day's."""
    there = time.localtime(then)
    return time.strftime("%H:%M" if there[:3] == time.localtime(now)[:3] else "%H:%M on %d %B", there)
