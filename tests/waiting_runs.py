"""For tests of the waiting line: runs whose supervisors live as far as their locks tell."""

import subprocess
import sys

import pytest

from engine import catalog
from engine.bench import Setup
from engine.lock import holder
from lab.runs import line, queue
from lab.runs.line import Waiter
from lab.runs.run import plan


@pytest.fixture
def alive(monkeypatch):
    """The folders whose runs live."""
    living = set()

    def alive(path):
        return (1 if path.parent in living else None) if path.name == "live.lock" else holder(path)

    monkeypatch.setattr(line, "holder", alive)
    return living


@pytest.fixture
def planned(home, alive):
    def make(device="cpu", visitor="", ranks=1):
        params = catalog.method("toy.patience").params.make({})
        run = plan("toy.patience", params, Setup(device=device, ranks=ranks), visitor=visitor)
        alive.add(run.folder)
        return run

    return make


def waits(run):
    return Waiter(run.folder, run.plan)


def shown():
    """The ids of the runs in the line, in order, with their positions."""
    return [(one.folder.name, one.position) for one in queue.queue()]


def names():
    return [id for id, _ in shown()]


def occupy(path):
    code = (
        "import sys, time, pathlib; from engine.lock import Lock; lock = Lock(pathlib.Path(sys.argv[1])); "
        "print(lock.take(), flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "True\n"
    return process
