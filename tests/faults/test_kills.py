"""kill -9 in every state of a run, at each of its processes. What is shown is true, and a resume makes it good.

Both processes are stopped before one is killed, so that the state is the one that is meant; who is left goes on.
"""

import os
import signal

import psutil
import pytest
from patience_runs import computes, ends, kill, undisturbed, until

from engine.folder import wish
from engine.lock import holder

pytestmark = pytest.mark.faults
STEPS = 24
WISHES = {"pausing": "pause", "cancelling": "cancel"}
SAVED = "stopped by SIGTERM; its work is saved"
LOST = "its process is gone without a word"


@pytest.fixture
def stopped(begin, request):
    """stopped(state): a run in this state whose processes stand still, its supervisor's pid, and its own or None."""

    def stop(state):
        if state == "queued":
            request.getfixturevalue("busy")
        run = begin(steps=STEPS, wait=0.05)
        supervisor = holder(run.folder / "live.lock")
        if state == "queued":
            pid = None
        elif state == "starting":
            (child,) = until(lambda: psutil.Process(supervisor).children(), every=0.005)
            pid = child.pid
        else:
            pid = computes(run)
            run.save_now()
            until(lambda: run.checkpoints())
        for one in filter(None, (pid, supervisor)):
            os.kill(one, signal.SIGSTOP)
        if state in WISHES:
            wish(run.folder, WISHES[state])
        assert run.state == state
        return run, supervisor, pid

    return stop


def goes_on(run, left):
    """Let go who is left, and return how the run came to rest."""
    for pid in filter(None, left):
        os.kill(pid, signal.SIGCONT)
    return ends(run)


def is_made_good(run):
    """A resume ends as if nothing had been."""
    run.resume()
    assert ends(run) == "done"
    assert [row["step"] for row in run.series()] == list(range(1, STEPS + 1))
    assert [row["loss"] for row in run.series()] == pytest.approx(undisturbed(STEPS))


@pytest.mark.fault(
    "the run's process is killed with -9, in any state",
    "failed with the signal as its cause, or paused or cancelled as was asked; resume goes on from its checkpoint",
    lost="steps since the checkpoint, which are done again",
)
@pytest.mark.parametrize(
    ("state", "becomes", "cause"),
    [
        ("starting", "failed", "killed by SIGKILL"),
        ("running", "failed", "killed by SIGKILL"),
        ("pausing", "paused", ""),
        ("cancelling", "cancelled", ""),
    ],
)
def test_the_run_is_killed(stopped, state, becomes, cause):
    run, supervisor, pid = stopped(state)
    kill(pid)
    assert goes_on(run, [supervisor]) == becomes
    assert run.cause == cause
    assert run.hint == ("Resume goes on from its last checkpoint." if cause else "")
    is_made_good(run)


@pytest.mark.fault(
    "its supervisor is killed, in any state",
    "the run saves itself and ends as cancelled, or paused if that was asked; one that had not begun is lost; resume",
)
@pytest.mark.parametrize(
    ("state", "becomes", "cause"),
    [
        ("queued", "lost", LOST),
        ("starting", "lost", LOST),
        ("running", "cancelled", SAVED),
        ("pausing", "paused", ""),
        ("cancelling", "cancelled", ""),
    ],
)
def test_its_supervisor_is_killed(stopped, request, state, becomes, cause):
    run, supervisor, pid = stopped(state)
    kill(supervisor)
    assert goes_on(run, [pid]) == becomes
    assert run.cause.startswith(cause)
    if state == "queued":
        request.getfixturevalue("busy").kill()
    elif becomes != "lost":
        assert [step for step, _ in run.checkpoints()][-1] == run.told["step"] == len(run.series())
    is_made_good(run)


@pytest.mark.fault(
    "both are killed at once in any state, as when the machine goes down",
    "lost, with a cause; resume goes on from its checkpoint",
    lost="steps since the checkpoint, which are done again",
)
@pytest.mark.parametrize("state", ["starting", "running", "pausing", "cancelling"])
def test_both_are_killed(stopped, state):
    run, supervisor, pid = stopped(state)
    kill(pid)
    kill(supervisor)
    assert ends(run) == "lost"
    assert run.cause.startswith(LOST)
    is_made_good(run)


def test_a_paused_run_has_no_process_to_kill(stopped):
    run, supervisor, pid = stopped("pausing")
    assert goes_on(run, [supervisor, pid]) == "paused"
    assert holder(run.folder / "live.lock") is None
    assert not psutil.pid_exists(pid)
    is_made_good(run)
