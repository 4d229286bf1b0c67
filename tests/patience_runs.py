"""For tests of runs: a home of their own, and a method of another package whose steps can be slowed and broken."""

import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import pytest

from engine.folder import read_state
from engine.lock import holder

PLUGIN = str(Path(__file__).parent / "patience")
READ_ONLY = "cannot be written: runs can be looked at, but none can be started or changed; make its disk writable"
"""What is said where the home cannot be written."""


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


HOLD = (
    "import sys, time, pathlib; from engine.lock import Lock; path = pathlib.Path(sys.argv[1]); "
    "path.parent.mkdir(parents=True, exist_ok=True); lock = Lock(path); print(lock.take(), flush=True); time.sleep(600)"
)


@pytest.fixture
def busy(home):
    """The slot of the CPU is taken by another process, so that all runs wait; kill it to free the slot."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, home / "devices" / "cpu" / "slot.lock"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "True\n"
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def disk(home, tmp_path, monkeypatch):
    """disk(writable): the home lies on a disk of its own, of which this says what it is from now on."""
    place = tmp_path / "disk"
    place.mkdir()
    if mount("-t", "tmpfs", "-o", "size=400m", "tmpfs", place):
        pytest.skip("this user may not mount a disk")
    monkeypatch.setenv("VISIONARIUM_HOME", str(place / "home"))

    def set(writable):
        # Files that are open for writing forbid a plain remount; over it lies the same disk, to be read only.
        if writable:
            subprocess.run(["umount", "-l", place], check=True)
        else:
            assert mount("--bind", place, place) == mount("-o", "remount,bind,ro", place) == 0

    yield set
    while not subprocess.run(["umount", "-l", place], capture_output=True).returncode:
        pass


def mount(*words):
    return subprocess.run(["mount", *words], capture_output=True).returncode


@cache
def undisturbed(steps):
    """The losses of the toy's first steps, run without any accident."""
    from patience import Patience, PatienceParams, train

    from engine.bench import Bench, Setup
    from engine.method import Method, drive

    params = PatienceParams.make({"steps": steps})
    bench = Bench(Setup(device="cpu"))
    method = Method(PatienceParams, Patience, train, (), (), None)
    model = Patience(params, bench.facts(params))
    return [float(report["loss"]) for report in drive(method, model, params, bench)]


def lab(*words):
    """What the command line answers, in a process of its own: exit code, output and what it complains of."""
    done = subprocess.run([sys.executable, "-m", "lab.cli", *map(str, words)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


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
