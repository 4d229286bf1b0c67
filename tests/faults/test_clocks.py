"""The clock of the machine is set by years while runs wait, run and end. Only what is shown as a date may notice.

A `sitecustomize` gives every process but this one another clock: `time.time`, which a file moves at any moment.
"""

import json
import os
import re
import subprocess
import sys
import time

import pytest
from patience_runs import computes, ends, lab, undisturbed, until
from served import ROOT

from engine.bench import Setup
from engine.catalog import method
from engine.folder import read_state
from lab.runs import find
from lab.runs.run import plan

pytestmark = pytest.mark.faults
YEARS = 10 * 365 * 86400
CLOCK = """
import os, time
from contextlib import suppress
real = time.time
def shifted():
    with suppress(OSError, ValueError), open(os.environ["SHIFT"]) as file:
        return real() + float(file.read())
    return real()
time.time = shifted
if "HURRY" in os.environ:
    with suppress(ImportError):
        from lab.runs import state
        state.TERM_AFTER, state.KILL_AFTER = 0.5, 1.5
"""


@pytest.fixture
def clock(home, tmp_path, monkeypatch):
    """clock(seconds): set the clock of all processes that are started from here."""
    place = tmp_path / "clock"
    place.mkdir()
    (place / "sitecustomize.py").write_text(CLOCK)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(place), str(ROOT), os.environ["PYTHONPATH"]]))
    monkeypatch.setenv("SHIFT", str(tmp_path / "shift"))

    def set(seconds):
        (tmp_path / "shift.new").write_text(str(seconds))
        os.replace(tmp_path / "shift.new", tmp_path / "shift")

    return set


STARTER = """
import os, sys
from engine.bench import Setup
from engine.catalog import method
from lab import runs
for words in sys.argv[1:]:
    shift, _, knobs = words.partition(" ")
    with open(os.environ["SHIFT"], "w") as file:
        file.write(shift)
    params = method("toy.patience").params.make(dict(word.split("=") for word in knobs.split()))
    print(runs.start("toy.patience", params, Setup(device="cpu")).id, flush=True)
"""


def started(*words):
    """Runs that a process starts, each after it has set the clock: "SECONDS KNOB=VALUE ..."."""
    done = subprocess.run([sys.executable, "-c", STARTER, *words], capture_output=True, text=True, check=True)
    return [find(id) for id in done.stdout.split()]


def begun(run):
    """When it began to compute, by the clock of the file system, which nobody set."""
    return (run.folder / "metrics.jsonl").stat().st_ctime


@pytest.mark.fault(
    "the clock is set ten years ahead or back while runs wait and run",
    "states, order of the line and timings are as if nothing was; only dates that are shown differ",
)
def test_states_line_and_timings_do_not_notice(clock):
    clock(0)
    first, *others = started(
        "0 steps=100000 wait=0.02", f"{YEARS} steps=2", f"{-YEARS} steps=2", "0 steps=12 wait=0.02"
    )
    assert others[0].plan.created - others[1].plan.created > YEARS, "the clock was not set"
    computes(first)
    for shift in (YEARS, -YEARS):
        clock(shift)
        code, said, wrong = lab("runs", "list", "--json")
        assert code == 0, wrong
        states = {row["id"]: row["state"] for row in json.loads(said)}
        assert states == {first.id: "running"} | {run.id: "queued" for run in others}
        assert [row["id"] for row in json.loads(lab("runs", "queue", "--json")[1])] == [run.id for run in others]
        step = len(first.series())
        until(lambda step=step: len(first.series()) > step + 5)
    for run in others:
        assert lab("runs", "hold", run.id)[0] == lab("runs", "release", run.id)[0] == 0
    first.cancel()
    assert ends(first) == "cancelled"
    assert [ends(run) for run in others] == ["done"] * 3
    assert sorted(others, key=lambda run: begun(run)) == others
    times = [row["time"] for row in first.series()]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] < 600
    assert [row["loss"] for row in others[2].series()] == pytest.approx(undisturbed(12))


@pytest.mark.fault(
    "the clock is set while a run that hangs is being cancelled",
    "SIGTERM and SIGKILL follow at their time, and the page tells the seconds since the asking",
    lost="steps since the checkpoint, which are done again",
)
@pytest.mark.parametrize("shift", [YEARS, -YEARS])
def test_a_run_that_hangs_is_ended_in_time(clock, monkeypatch, shift):
    monkeypatch.setenv("HURRY", "1")
    clock(0)
    (run,) = started("0 steps=100 hang_at=3")
    until(lambda: read_state(run.folder).get("state") == "running")
    assert lab("runs", "cancel", run.id)[0] == 0
    clock(shift)
    code = f"from lab.runs import find; print(find('{run.id}').ending or find('{run.id}').state)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert re.search(r"asked \d s ago|^cancelled$", said), said
    assert ends(run) == "cancelled"
    assert "it did not answer and was ended by SIGKILL" in run.cause


@pytest.mark.fault(
    "the clocks of those who share a home differ, or a run's files bear dates of other years",
    "a run whose supervisor is about to come is waiting, not lost",
)
@pytest.mark.parametrize("shift", [YEARS, -YEARS])
def test_a_planned_run_waits_for_its_supervisor_by_no_clock(clock, home, shift):
    clock(shift)
    run = plan("toy.patience", method("toy.patience").params.make({}), Setup(device="cpu"))
    other = time.time() + shift
    os.utime(run.folder / "run.json", (other, other))
    code = f"from lab.runs import find; print(find('{run.id}').state)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "queued\n"
