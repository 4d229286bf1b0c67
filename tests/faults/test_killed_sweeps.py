"""A sweep in its full swing loses its maker, its runs and everybody who cares for them. A resume completes it."""

import os
import signal
import subprocess
import sys

import pytest
from patience_runs import kill, losses, until

from engine.bench import Setup
from engine.catalog import method
from engine.lock import holder
from lab.runs import all_runs
from lab.runs.cells import cells
from lab.runs.sweep import all_sweeps, find_sweep, plan_sweep

pytestmark = pytest.mark.faults
COMMAND = [sys.executable, "-m", "lab.cli", "sweep"]
GRID = ["toy.patience", "--grid", "batch=1,2", "lr=0.1,0.2", "--steps", "30", "--wait", "0.03", "--device", "cpu"]


def killed(sweep):
    """End everything that has to do with the sweep, as no process can refuse."""
    for lock in [sweep.folder / "making.lock", *(run.folder / "live.lock" for run in sweep.runs if run)]:
        while pid := holder(lock):
            kill(pid)


def steps(run):
    return [row["step"] for row in run.series()]


@pytest.mark.fault(
    "a sweep is killed with all its runs, in the middle",
    "resume makes the missing runs and ends the others; no cell is missing, none is there twice",
)
def test_everything_killed_in_mid_sweep_a_resume_completes_it(home):
    maker = subprocess.Popen([*COMMAND, *GRID], stdout=subprocess.PIPE, text=True, start_new_session=True)
    id = maker.stdout.readline().strip()
    sweep = find_sweep(id)
    plan = (sweep.folder / "sweep.json").read_bytes()
    until(lambda: sweep.runs[1])
    os.killpg(maker.pid, signal.SIGKILL)
    maker.communicate()
    until(lambda: steps(sweep.runs[0]))
    killed(sweep)
    assert until(lambda: sweep.standing == "stopped")
    before = {run.id for run in all_runs()}
    assert before <= set(sweep.plan.runs)
    done = subprocess.run([*COMMAND, "resume", id, "--follow"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "done: 4 of 4 runs done" in done.stdout
    assert {run.id for run in all_runs()} == set(sweep.plan.runs)
    assert (sweep.folder / "sweep.json").read_bytes() == plan
    assert len(list(all_sweeps())) == 1
    asked = [(run.plan.values["batch"], run.plan.values["lr"]) for run in sweep.runs]
    assert asked == [(1, 0.1), (1, 0.2), (2, 0.1), (2, 0.2)]
    for run in sweep.runs:
        assert steps(run) == list(range(1, 31))
    assert [cell.figures for cell in cells(sweep)] == [[losses(run)[-1]] for run in sweep.runs]


def test_a_maker_apart_outlives_who_began_it_and_is_stopped_between_two_runs(home):
    params = method("toy.patience").params.make({"steps": 1000, "wait": 0.02})
    sweep = plan_sweep("toy.patience", params, Setup(device="cpu"), {"batch": tuple(range(1, 9))})
    sweep.resume_apart()
    assert sweep.making
    until(lambda: sum(run is not None for run in sweep.runs) >= 2)
    sweep.stop()
    until(lambda: sweep.standing == "stopped")
    states = [run.state if run else "missing" for run in sweep.runs]
    assert set(states) <= {"cancelled", "missing"}
    assert "missing" in states, "it was stopped too late to show anything"
    sweep.resume_apart()
    with pytest.raises(ValueError, match="is in use by process"):
        sweep.make()
    until(lambda: all(sweep.runs) and not sweep.making)
    assert sweep.standing == "running"
    sweep.stop()
    assert until(lambda: sweep.standing == "stopped")
