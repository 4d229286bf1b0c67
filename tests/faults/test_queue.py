"""Two hundred waiting runs with their real supervisors, all killed; moves, turns and holds as processes keep them."""

import json
import os
import subprocess
import sys
import time

import pytest
from patience_runs import computes, ends, kill, lab, until

from engine import catalog
from engine.bench import Setup
from engine.folder import read_state
from engine.lock import holder
from lab.runs import all_runs, queue
from lab.runs.run import LOCAL, plan, resume

pytestmark = pytest.mark.faults
MANY = 200


@pytest.fixture
def planned(home):
    def make(visitor="", **knobs):
        params = catalog.method("toy.patience").params.make({"steps": 2} | knobs)
        return plan("toy.patience", params, Setup(device="cpu"), visitor=visitor)

    return make


def names():
    return [one.folder.name for one in queue.queue()]


def supervisor(run):
    return holder(run.folder / "live.lock")


def started(run):
    """The time at which a run that ended began to compute."""
    return (run.folder / "metrics.jsonl").stat().st_mtime


@pytest.mark.fault(
    "the supervisors of 200 waiting runs are killed",
    "lost; resumed, they wait in their old order",
)
def test_two_hundred_waiting_runs_are_killed_and_go_on_waiting_in_their_old_order(busy, planned):
    runs = [planned() for _ in range(MANY)]
    LOCAL.submit(*(run.folder for run in runs))
    runs[150].move("next")
    runs[10].move("down")
    runs[20].hold()
    order = [150, *(i for i in range(MANY) if i not in (10, 20, 150)), 20]
    order.insert(order.index(11) + 1, 10)
    expected = [runs[i].id for i in order]
    assert names() == expected
    for run in runs:
        kill(supervisor(run))
    until(lambda: not any(supervisor(run) for run in runs))
    assert names() == []
    assert {run.state for run in all_runs()} == {"lost"}
    resume(*all_runs())
    assert names() == expected
    assert {run.state for run in runs} == {"queued"}
    since = time.monotonic()
    runs[100].cancel()
    until(lambda: runs[100].id not in names())
    assert time.monotonic() - since < 1
    assert names() == [name for name in expected if name != runs[100].id]
    busy.kill()
    assert ends(runs[150]) == "done"
    assert read_state(runs[20].folder)["state"] == "queued"


def test_two_visitors_take_turns_at_the_slot(busy, planned):
    runs = [planned(visitor) for visitor in ("anna", "anna", "anna", "ben", "ben")]
    for run in runs:
        LOCAL.submit(run.folder)
    busy.kill()
    assert [ends(run) for run in runs] == ["done"] * 5
    order = sorted(runs, key=started)
    assert [runs.index(run) for run in order] == [0, 3, 1, 4, 2]


def test_a_held_run_waits_while_others_pass_and_starts_when_released(busy, planned):
    held, other = planned(), planned()
    LOCAL.submit(held.folder, other.folder)
    held.hold()
    busy.kill()
    assert ends(other) == "done"
    assert (held.state, held.series()) == ("queued", [])
    held.release()
    assert ends(held) == "done"


def test_now_beside_runs_beside_what_runs_and_a_pause_keeps_the_place(home, planned):
    slow = [planned(steps=100_000, wait=0.02) for _ in range(3)]
    LOCAL.submit(*(run.folder for run in slow))
    first, second, third = slow
    computes(first)
    with pytest.raises(ValueError, match=f"run {first.id} is running: only a waiting run has a place in the line"):
        first.move("up")
    third.now(beside=True)
    computes(third)
    assert [run.state for run in slow] == ["running", "queued", "running"]
    first.pause()
    assert ends(first) == "paused"
    computes(second)
    first.resume()
    third.pause()
    assert ends(third) == "paused"
    third.resume()
    assert names() == [third.id, first.id], "who was hurried once keeps the place that this gave it"
    for run in slow:
        run.cancel()
    assert [ends(run) for run in slow] == ["cancelled"] * 3


@pytest.mark.fault(
    "a process is killed while it changes the line",
    "the line is whole and unlocked",
)
def test_a_supervisor_killed_while_it_changes_the_line_leaves_it_whole_and_unlocked(busy, planned):
    runs = [planned() for _ in range(4)]
    LOCAL.submit(*(run.folder for run in runs))
    code = (
        "import sys, time; from lab.runs.line import Line\n"
        "with Line('cpu').changing() as lineup: lineup.waiting.clear(); print(1, flush=True); time.sleep(600)"
    )
    mover = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": "."})
    mover.stdout.readline()
    mover.kill()
    mover.communicate()
    runs[3].move("next")
    assert names() == [runs[3].id, runs[0].id, runs[1].id, runs[2].id]


MOVES = """
import random, sys
from contextlib import suppress
from pathlib import Path
from lab.runs import queue
chance, folders = random.Random(int(sys.argv[1])), [Path(name) for name in sys.argv[2:]]
for _ in range(80):
    with suppress(ValueError):  # it is the first, the last, or just now held
        folder = chance.choice(folders)
        chance.choice([lambda: queue.move(folder, chance.choice(queue.WHERE)), lambda: queue.hold(folder),
                       lambda: queue.release(folder)])()
"""


@pytest.mark.fault(
    "two apps change the same waiting line at the same time", "the line is whole, and both show the same"
)
def test_two_processes_that_move_at_the_same_time_lose_no_run(busy, planned):
    runs = [planned() for _ in range(6)]
    LOCAL.submit(*(run.folder for run in runs))
    movers = [subprocess.Popen([sys.executable, "-c", MOVES, seed, *(run.folder for run in runs)]) for seed in "12"]
    while any(mover.poll() is None for mover in movers):
        assert sorted(names()) == sorted(run.id for run in runs)
    assert [mover.returncode for mover in movers] == [0, 0]
    told = json.loads(lab("runs", "queue", "--json")[1])
    assert [row["id"] for row in told] == names()
    assert {run.state for run in runs} == {"queued"}
