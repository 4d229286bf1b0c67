"""For tests of runs: a home of their own, and a method of another package whose steps can be slowed and broken."""

import os
import signal
import time
from pathlib import Path

import pytest

from engine.folder import read_state
from engine.lock import holder

PLUGIN = str(Path(__file__).parent / "patience")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder; the method toy.patience is installed, here and in every child. What still runs is ended after."""
    monkeypatch.setenv("VISIONARIUM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", PLUGIN)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.syspath_prepend(PLUGIN)
    yield tmp_path / "home"
    for lock in tmp_path.glob("**/live.lock"):
        while pid := holder(lock):
            kill(pid)
            time.sleep(0.02)


@pytest.fixture
def begin(home):
    """Start a run of toy.patience with these knobs."""
    from engine.bench import Setup
    from engine.catalog import method
    from lab import runs

    def start(setup=None, **knobs):
        params = method("toy.patience").params.make(knobs)
        return runs.start("toy.patience", params, Setup.make({"device": "cpu"} | (setup or {})))

    return start


def kill(pid):
    """As nobody can refuse; a process that has just ended is no error."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def until(condition, seconds=60.0, every=0.02):
    """Wait for `condition()` and return what it gave; the test fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(every)
    raise AssertionError(f"waited {seconds} s in vain")


def computes(run):
    """The process that computes, once it has reported a step."""
    return until(lambda: read_state(run.folder).get("state") == "running" and run.series() and run.told["pid"])


def ends(run):
    """The state in which the run comes to rest."""
    return until(lambda: (state := run.state) in ("done", "failed", "cancelled", "paused", "lost") and state)


def losses(run):
    return [row["loss"] for row in run.series()]
