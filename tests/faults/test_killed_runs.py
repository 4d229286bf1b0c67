"""Whole runs, with their real processes, killed at every place. Nothing is lost, and what is shown is true."""

import os
import signal
import subprocess
import sys
import time

import pytest
from patience_runs import computes, ends, kill, losses, undisturbed, until

from engine.folder import read_state, wish
from engine.lock import holder
from lab.runs import all_runs, find
from lab.runs.executors import attached

pytestmark = pytest.mark.faults
SLOW = {"steps": 100_000, "wait": 0.02}


def gone(pid):
    """Whether the process has ended; a zombie, which only waits for its parent, has."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


STARTER = """
import sys, time
from engine.bench import Setup
from engine.catalog import method
from lab import runs
run = runs.start("toy.patience", method("toy.patience").params.make({"steps": 40, "wait": 0.05}), Setup(device="cpu"))
print(run.id, flush=True)
time.sleep(60)
"""


@pytest.mark.fault(
    "the app or the program that started a run is killed",
    "the run goes on; the next app finds it",
)
def test_a_killed_starter_changes_nothing_and_two_starters_share_a_home(home):
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        for _ in range(2)
    ]  # fmt: skip
    ids = [starter.stdout.readline().strip() for starter in starters]
    for starter in starters:
        os.killpg(starter.pid, signal.SIGKILL)
        starter.communicate()
    assert [run.id for run in all_runs()] == sorted(ids, reverse=True)
    for id in ids:
        assert ends(find(id)) == "done"
        assert losses(find(id)) == pytest.approx(undisturbed(40))


def test_a_cancel_is_acknowledged_at_once_and_never_shown_as_done_while_the_process_lives(begin):
    run = begin(**SLOW)
    pid = computes(run)
    run.cancel()
    asked = time.monotonic()
    assert run.state == "cancelling"
    assert time.monotonic() - asked < 1
    seen = {"cancelling"}
    while (state := run.state) == "cancelling":
        time.sleep(0.002)
    seen.add(state)
    assert gone(pid), "it was shown as cancelled while its process lived"
    assert holder(run.folder / "live.lock") is None
    assert seen == {"cancelling", "cancelled"}
    step = read_state(run.folder)["step"]
    assert [kept for kept, _ in run.checkpoints()] == [step]
    assert len(losses(run)) == step


def test_the_line_goes_by_planning_past_the_cancelled_and_the_killed(begin):
    first = begin(**SLOW)
    computes(first)
    cancelled, killed, last, paused = begin(steps=2), begin(steps=2), begin(steps=2), begin(steps=2)
    assert [run.state for run in (cancelled, killed, last, paused)] == ["queued"] * 4
    since = time.monotonic()
    cancelled.cancel()
    paused.pause()
    until(lambda: cancelled.state == "cancelled" and paused.state == "paused")
    assert time.monotonic() - since < 5
    kill(holder(killed.folder / "live.lock"))
    until(lambda: killed.state == "lost")
    assert (first.state, last.state) == ("running", "queued")
    first.cancel()
    assert ends(first) == "cancelled"
    assert ends(last) == "done"
    assert read_state(last.folder)["changed"] > read_state(first.folder)["changed"]
    assert [run.series() for run in (cancelled, killed, paused)] == [[], [], []]
    assert (cancelled.state, killed.state, paused.state) == ("cancelled", "lost", "paused")


@pytest.mark.fault(
    "a second supervisor for a live run",
    "refused with a sentence",
)
def test_a_second_supervisor_of_a_live_run_is_refused(begin):
    run = begin(**SLOW)
    pid = computes(run)
    second = attached(run.folder)
    _, said = second.communicate()
    assert second.returncode == 2
    assert b"is in use by process" in said
    engine = subprocess.run(
        [sys.executable, "-m", "engine", "--resume", run.folder], capture_output=True, text=True, check=False
    )
    assert engine.returncode == 2
    assert "is in use by process" in engine.stderr
    assert read_state(run.folder)["pid"] == pid
    wish(run.folder, "cancel")
    assert ends(run) == "cancelled"


def command_line(*words):
    """As in a terminal, where Ctrl-C is heard, however the tests were started."""
    command = [sys.executable, "-m", "lab.cli", "train", "toy.patience", "--steps", "100000", "--wait", "0.02", *words]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    run = until(lambda: (all_runs() or [None])[0])
    computes(run)
    return process, run


@pytest.mark.fault(
    "Ctrl-C in the terminal that follows a run",
    "the run saves itself and ends as cancelled",
)
def test_interrupting_the_command_line_saves_and_cancels(home):
    process, run = command_line()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    step = read_state(run.folder)["step"]
    assert process.returncode == 4
    assert "saving and ending" in err
    assert f"cancelled after {step} steps" in out
    assert f"visionarium runs resume {run.id}" in out
    assert run.state == "cancelled"
    assert [kept for kept, _ in run.checkpoints()] == [step]


@pytest.mark.fault(
    "the command line that follows a run is killed",
    "the run goes on",
)
def test_a_killed_command_line_leaves_its_run_at_work(home):
    process, run = command_line("--device", "cpu")
    process.kill()
    process.communicate()
    rows = len(run.series())
    assert until(lambda: len(run.series()) > rows)
    assert run.state == "running"
    run.pause()
    assert ends(run) == "paused"
