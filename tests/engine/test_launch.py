"""Runs of two ranks on this machine: to the end, paused and resumed, and with a rank that dies."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from patience_runs import kill, until

from engine import launch
from engine.bench import Setup
from engine.catalog import method
from engine.checkpoint import read_checkpoint
from engine.folder import plan_run, read_state, wish, wishes
from engine.launch import first_dead, first_to_fail, how_ended
from engine.record import checkpoints, rows

pytestmark = pytest.mark.slow
STARTED = []
PLUGIN = str(Path(__file__).parent.parent / "sharing")


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    """A home folder; the method toy.shared is installed, here and in every child."""
    monkeypatch.setenv("VISIONARIUM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([PLUGIN, os.getcwd()]))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.syspath_prepend(PLUGIN)
    yield
    for process in STARTED:
        if process.poll() is None:
            process.kill()  # its ranks hear of it: see engine.lock
            process.communicate()
    STARTED.clear()


def planned(folder, id="toy.shared", preset="tiny", **knobs):
    plan_run(folder, id, method(id).params.make(knobs, preset), Setup.make({"device": "cpu", "ranks": 2}, "tiny"))
    return folder


def begun(folder):
    command = [sys.executable, "-m", "engine", "--resume", str(folder)]
    STARTED.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    return STARTED[-1]


def member(process, rank):
    """The process id of a rank that `process` started, once it is there."""

    def found():
        for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:  # it may be a child that is gone by now
                if f"RANK={rank}".encode() in file.read().split(b"\0"):
                    return int(pid)
        return None

    return until(found)


@pytest.mark.parametrize("name", ["simclr", "moco", "swav"])
def test_a_run_of_two_ranks_ends_with_a_checkpoint_that_loads(tmp_path, name):
    folder = planned(tmp_path / "run", f"representation.{name}")
    process = begun(folder)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert read_state(folder)["state"] == "done"
    ((step, path),) = checkpoints(folder)
    of, found = method(f"representation.{name}"), read_checkpoint(path, with_state=True)
    of.build(of.params.make(found.params), found.facts).load_state_dict(dict(found.weights))
    assert step == 3
    assert [row["step"] for row in rows(folder)] == [1, 2, 3]
    assert len(found.state["ranks"]) == 2


def test_a_wish_to_pause_reaches_all_and_the_run_goes_on(tmp_path):
    folder = planned(tmp_path / "run", steps=40, wait=0.05)
    process = begun(folder)
    until(lambda: read_state(folder).get("state") == "running")
    wish(folder, "pause")
    output, _ = process.communicate(timeout=120)
    assert (process.returncode, read_state(folder)["state"]) == (3, "paused"), output
    step = read_state(folder)["step"]
    assert [saved for saved, _ in checkpoints(folder)] == [step]
    output, _ = (process := begun(folder)).communicate(timeout=120)
    assert (process.returncode, read_state(folder)["state"]) == (0, "done"), output
    assert [row["step"] for row in rows(folder)] == list(range(1, 41))


def test_sigterm_to_the_launcher_saves_and_cancels(tmp_path):
    folder = planned(tmp_path / "run", steps=100_000, wait=0.05)
    process = begun(folder)
    until(lambda: read_state(folder).get("state") == "running")
    process.terminate()
    output, _ = process.communicate(timeout=120)
    told = read_state(folder)
    assert (process.returncode, told["state"]) == (4, "cancelled"), output
    assert told["cause"] == "stopped by SIGTERM; its work is saved"
    assert [saved for saved, _ in checkpoints(folder)] == [told["step"]]


@pytest.mark.parametrize(
    ("asked", "becomes"), [([], "cancelled"), (["pause"], "paused"), (["pause", "cancel"], "cancelled")]
)
def test_sigterm_before_the_first_step_ends_all_as_was_asked(tmp_path, asked, becomes):
    folder = planned(tmp_path / "run", steps=100_000)
    process = begun(folder)
    ranks = [member(process, rank) for rank in (0, 1)]
    for name in asked:
        wish(folder, name)
    process.terminate()
    output, _ = process.communicate(timeout=120)
    told = read_state(folder)
    assert (told["state"], told.get("cause"), wishes(folder)) == (becomes, None, set()), output
    assert not any(os.path.exists(f"/proc/{pid}") for pid in ranks)


def test_sigterm_while_ranks_are_being_started_is_not_lost(tmp_path, monkeypatch):
    folder = planned(tmp_path / "run", steps=100_000)

    def interrupted(*given):
        os.kill(os.getpid(), signal.SIGTERM)
        return begin_all(*given)

    begin_all = launch.start
    monkeypatch.setattr(launch, "start", interrupted)
    assert launch.launch(folder, 2) == read_state(folder)["state"] == "cancelled"


def test_a_rank_that_dies_ends_the_run_with_a_sentence(tmp_path):
    folder = planned(tmp_path / "run", steps=100_000, wait=0.05)
    process = begun(folder)
    until(lambda: read_state(folder).get("state") == "running")
    one, other = member(process, 0), member(process, 1)
    kill(other)
    process.communicate(timeout=120)
    told = read_state(folder)
    assert (process.returncode, told["state"]) == (1, "failed")
    assert told["cause"] == "rank 1 of 2 was killed by SIGKILL, so all have ended"
    assert "Resume" in told["hint"]
    assert not os.path.exists(f"/proc/{one}")


def test_the_cause_is_that_of_the_rank_that_failed(tmp_path):
    folder = planned(tmp_path / "run", steps=20, fail_at=3)
    process = begun(folder)
    output, _ = process.communicate(timeout=120)
    assert (process.returncode, read_state(folder)["state"]) == (1, "failed")
    assert read_state(folder)["cause"] == "rank 1 of 2: RuntimeError: this step was told to fail", output
    assert not (folder / "fault.json").exists()


def test_who_fails_first_is_told(tmp_path):
    assert first_to_fail(tmp_path, {"cause": "no memory"}, 1, 2) == {"cause": "rank 1 of 2: no memory"}
    assert first_to_fail(tmp_path, {"cause": "connection closed"}, 0, 2) == {"cause": "rank 1 of 2: no memory"}
    assert first_to_fail(tmp_path, {"cause": "alone"}, 0, 1) == {"cause": "alone"}


class Ended:
    def __init__(self, code):
        self.code = code

    def poll(self):
        return self.code


def test_the_dead_are_told_from_those_that_ended():
    assert first_dead([Ended(None), Ended(3), Ended(0), Ended(4)]) is None
    assert first_dead([Ended(1), Ended(None), Ended(-9)]) == 2
    assert first_dead([Ended(0), Ended(1)]) == 1
    assert (how_ended(-9), how_ended(7)) == ("was killed by SIGKILL", "ended with code 7")
