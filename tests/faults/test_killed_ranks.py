"""Runs of two ranks in the run centre: each answers what is asked, and none is left behind, whichever is killed."""

from pathlib import Path

import psutil
import pytest
from patience_runs import computes, ends, kill, losses, until

from engine.folder import read_state
from engine.lock import holder

pytestmark = pytest.mark.faults
STEPS = 30
PLUGIN = str(Path(__file__).parent.parent / "sharing")


@pytest.fixture
def shared(home, monkeypatch):
    """Start a run of toy.shared by two ranks with these knobs."""
    from engine.bench import Setup
    from engine.catalog import method
    from lab import runs

    monkeypatch.setenv("PYTHONPATH", PLUGIN)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.syspath_prepend(PLUGIN)

    def start(**knobs):
        params = method("toy.shared").params.make(knobs)
        return runs.start("toy.shared", params, Setup.make({"device": "cpu", "ranks": 2}))

    return start


def ranks(run):
    """The processes of a run at work: its supervisor, the launcher, and the ranks in their order."""

    def found():
        supervisor = psutil.Process(holder(run.folder / "live.lock"))
        below = supervisor.children(recursive=True)
        numbered = {one.environ().get("RANK"): one for one in below}
        return [supervisor, numbered[None], numbered["0"], numbered["1"]] if {None, "0", "1"} <= numbered.keys() else []

    return until(found)


def are_gone(processes):
    return until(lambda: all(not one.is_running() or one.status() == psutil.STATUS_ZOMBIE for one in processes))


UNDISTURBED = []


@pytest.fixture
def undisturbed(shared):
    """The losses of STEPS steps to which nothing happens, found once."""
    if not UNDISTURBED:
        run = shared(steps=STEPS)
        assert ends(run) == "done"
        UNDISTURBED.extend(losses(run))
    return UNDISTURBED


@pytest.mark.fault(
    "one of several ranks is killed with -9",
    "the others end within seconds; failed with the rank and its signal as the cause; resume goes on from its "
    "checkpoint with as many",
    lost="steps since the checkpoint, which are done again",
)
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_ends_the_run(shared, undisturbed, rank):
    run = shared(steps=STEPS, wait=0.05)
    computes(run)
    processes = ranks(run)
    run.save_now()
    until(lambda: run.checkpoints())
    kill(processes[2 + rank].pid)
    assert ends(run) == "failed"
    assert run.cause == f"rank {rank} of 2 was killed by SIGKILL, so all have ended"
    assert "Resume goes on from its last checkpoint" in run.hint
    are_gone(processes)
    assert holder(run.folder / "live.lock") is None
    run.resume()
    assert ends(run) == "done"
    assert losses(run) == undisturbed


@pytest.mark.fault(
    "the process that started several ranks is killed with -9",
    "its ranks are ended with it; failed with the signal as the cause; resume",
    lost="steps since the checkpoint, which are done again",
)
def test_a_killed_launcher_takes_its_ranks_along(shared):
    run = shared(steps=100_000, wait=0.05)
    computes(run)
    processes = ranks(run)
    kill(processes[1].pid)
    assert ends(run) == "failed"
    assert run.cause == "killed by SIGKILL"
    are_gone(processes)


def test_pausing_saving_and_going_on_are_answered_by_both(shared, undisturbed):
    run = shared(steps=STEPS, wait=0.05)
    computes(run)
    processes = ranks(run)
    run.save_now()
    until(lambda: run.checkpoints())
    assert run.state == "running"
    run.pause()
    assert ends(run) == "paused"
    are_gone(processes)
    assert [step for step, _ in run.checkpoints()][-1] == run.told["step"] < STEPS
    run.resume()
    assert ends(run) == "done"
    assert losses(run) == undisturbed


def test_ranks_that_still_begin_are_ended_at_once(shared):
    run = shared(steps=100_000)
    processes = ranks(run)
    assert read_state(run.folder)["state"] == "starting"
    run.cancel()
    assert ends(run) == "cancelled"
    are_gone(processes)
    assert (run.cause, run.hint) == ("", "")
