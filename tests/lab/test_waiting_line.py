"""Who waits for a device gets it in the order of planning; the dead do not hold up the line."""

import subprocess
import sys

import pytest

from engine import catalog
from engine.bench import Setup
from lab.runs import line
from lab.runs.line import Ticket, ahead, gpus, line_of
from lab.runs.run import plan


@pytest.fixture
def alive(monkeypatch):
    """The folders whose runs live."""
    living = set()
    monkeypatch.setattr(line, "holder", lambda path: 1 if path.parent in living else None)
    return living


@pytest.fixture
def planned(home, alive):
    def make(device="cpu"):
        params = catalog.method("toy.patience").params.make({})
        run = plan("toy.patience", params, Setup(device=device))
        alive.add(run.folder)
        return run

    return make


def ticket(run):
    return Ticket(run.folder, run.plan)


def occupy(path):
    code = (
        "import sys, time, pathlib; from engine.lock import Lock; lock = Lock(pathlib.Path(sys.argv[1])); "
        "print(lock.take(), flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "True\n"
    return process


def test_the_first_planned_goes_first_whoever_asks_first(planned):
    runs = [planned() for _ in range(3)]
    third, first, second = ticket(runs[2]), ticket(runs[0]), ticket(runs[1])
    assert [ahead(run.folder, run.plan) for run in runs] == [0, 1, 2]
    assert third.slot() is None
    assert second.slot() is None
    assert first.slot() is not None
    assert third.slot() is None
    assert second.slot() is not None
    assert [ahead(run.folder, run.plan) for run in runs[2:]] == [0]


def test_a_dead_run_and_one_that_gave_up_do_not_hold_up_the_line(planned, alive):
    dead, gave_up, waits = planned(), planned(), planned()
    ticket(dead)
    ticket(gave_up).give_back()
    alive.remove(dead.folder)
    mine = ticket(waits)
    assert mine.slot() is not None
    assert list(mine._path.parent.iterdir()) == []


def test_devices_have_lines_of_their_own(planned, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    on_cpu, on_gpu = ticket(planned("cpu")), ticket(planned("cuda"))
    assert (on_cpu.line, on_gpu.line) == ("cpu", "cuda")
    assert on_gpu.slot().environment == {"CUDA_VISIBLE_DEVICES": "0"}
    assert on_cpu.slot().environment == {}


def test_a_machine_with_two_gpus_runs_two_at_once_each_bound_to_its_own(planned, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a/1/0,GPU-b")
    one, two = ticket(planned("cuda")), ticket(planned("cuda"))
    folder = one._waiting.parent
    with occupy(folder / "slot-MIG-a-1-0.lock") as first:
        slot = one.slot()
        assert slot.environment == {"CUDA_VISIBLE_DEVICES": "GPU-b"}
        slot.lock.release()
        with occupy(folder / "slot-GPU-b.lock") as second:
            assert two.slot() is None
            second.kill()
        assert two.slot().environment == {"CUDA_VISIBLE_DEVICES": "GPU-b"}
        first.kill()


def test_the_gpus_are_those_that_are_visible(monkeypatch):
    for visible, found in (("0,2", ["0", "2"]), ("", []), ("-1", []), ("MIG-1/2/3", ["MIG-1/2/3"])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert gpus() == found


def test_auto_waits_where_the_engine_will_compute(planned, monkeypatch):
    run = planned("auto")
    monkeypatch.setattr(line.sys, "platform", "linux")
    assert line_of(run.plan) == "cpu"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert line_of(run.plan) == "cuda"
