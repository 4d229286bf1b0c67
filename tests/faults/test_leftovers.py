"""Folders on their way in or out of the lab whose processes are killed half-way. The next who starts deletes them."""

import subprocess
import sys

import pytest
from patience_runs import computes, ends, kill
from served import Server

from engine import catalog
from engine.bench import Setup
from engine.run import run as carry_out
from lab.runs import all_runs
from lab.runs.leftovers import DOOMED, INCOMING, sweep_up
from lab.runs.run import plan
from lab.share.archive import export

pytestmark = pytest.mark.faults
BRINGS = "import sys, pathlib; from lab.share.bring import bring; bring(pathlib.Path(sys.argv[1]), as_copy=True)"
DELETES = "import sys; from lab.runs import find; find(sys.argv[1]).delete()"
HANGS = {
    INCOMING: "import time, lab.share.bring as b; b._extract = lambda *a: (print(1, flush=True), time.sleep(600)); ",
    DOOMED: "import time, shutil; shutil.rmtree = lambda *a, **k: (print(1, flush=True), time.sleep(600)); ",
}
"""A large run on a slow disk: it takes longer than anybody waits."""


@pytest.fixture
def run(home):
    run = plan("toy.patience", catalog.method("toy.patience").params.make({}), Setup(device="cpu"))
    assert carry_out(run.folder) == "done"
    return run


def hidden(home):
    return [path.name for path in (home / "runs").iterdir() if path.name.startswith(".")]


@pytest.fixture
def at_work():
    """Start a process and return once it is in the middle of its work."""
    there = []

    def start(code, *words):
        there.append(subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True))
        assert there[-1].stdout.readline() == "1\n"
        return there[-1]

    yield start
    for process in there:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.fault(
    "an import or a delete is killed half-way",
    "its hidden folder shows nowhere, and is deleted when an app starts; never while somebody works on it",
)
def test_what_was_being_brought_in_is_swept_up_once_its_process_is_gone(run, home, at_work, tmp_path):
    export(run, tmp_path / "run.zip")
    process = at_work(HANGS[INCOMING] + BRINGS, tmp_path / "run.zip")
    (name,) = hidden(home)
    assert name.startswith(INCOMING)
    assert sweep_up() == []
    process.kill()
    process.wait()
    assert [one.id for one in all_runs()] == [run.id]
    server = Server(home, tmp_path / "server.log")
    server.start()
    server.kill()
    assert hidden(home) == []
    assert [one.state for one in all_runs()] == ["done"]


def test_what_was_being_deleted_is_swept_up_once_its_process_is_gone(run, home, at_work):
    process = at_work(HANGS[DOOMED] + DELETES, run.id)
    assert hidden(home) == [DOOMED + run.id]
    assert all_runs() == []
    assert sweep_up() == []
    process.kill()
    process.wait()
    assert sweep_up() == [DOOMED + run.id]
    assert hidden(home) == []


def test_a_checkpoint_half_written_by_a_killed_run_goes_when_it_is_resumed(begin):
    run = begin(steps=20, wait=0.05)
    kill(computes(run))
    assert ends(run) == "failed"
    torn = run.folder / "checkpoints" / ".00000007.safetensors.4711.tmp"
    torn.write_bytes(bytes(1 << 20))
    run.resume()
    assert ends(run) == "done"
    assert not torn.exists()
