"""The supervisor's parts on processes that cost nothing. Whole runs are killed in tests/faults."""

import os
import subprocess
import sys
import time

import pytest

from engine import catalog
from engine.bench import Setup
from engine.folder import read_state, wish, write_state
from lab.runs import supervisor
from lab.runs.run import plan

OBEYS = "import time; print(1, flush=True); time.sleep(60)"
STUCK = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"


@pytest.fixture
def folder(home):
    return plan("toy.patience", catalog.method("toy.patience").params.make({}), Setup()).folder


def child(code):
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    process.stdout.readline()
    return process


@pytest.fixture
def hurry(monkeypatch):
    monkeypatch.setattr(supervisor, "POLL", 0.01)
    monkeypatch.setattr(supervisor, "TERM_AFTER", 0.3)
    monkeypatch.setattr(supervisor, "KILL_AFTER", 0.6)


@pytest.mark.parametrize(("code", "last", "at_least"), [(OBEYS, "SIGTERM", 0.3), (STUCK, "SIGKILL", 0.6)])
def test_a_wish_that_is_not_granted_is_enforced_step_by_step(folder, hurry, code, last, at_least):
    write_state(folder, "running")
    process = child(code)
    wish(folder, "cancel")
    since = time.monotonic()
    assert supervisor._attend(folder, process) == last
    assert time.monotonic() - since >= at_least
    assert process.returncode == -getattr(supervisor.signal, last)


def test_a_run_that_has_not_begun_is_ended_at_once(folder, monkeypatch):
    write_state(folder, "starting")
    wish(folder, "pause")
    process = child(OBEYS)
    assert supervisor._attend(folder, process) == "SIGTERM"
    assert supervisor._conclude(folder, process.returncode, "SIGTERM", False) == "paused"


def test_what_a_killed_run_left_behind_ends_with_it(folder, hurry):
    write_state(folder, "running")
    orphan = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    process = subprocess.Popen(
        [sys.executable, "-c", orphan + "print(p.pid, flush=True); import time; time.sleep(60)"],
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    worker = int(process.stdout.readline())
    process.kill()
    supervisor._attend(folder, process)
    end = time.monotonic() + 10
    while os.path.exists(f"/proc/{worker}/exe") and time.monotonic() < end:
        time.sleep(0.01)
    with pytest.raises((ProcessLookupError, FileNotFoundError)):
        os.readlink(f"/proc/{worker}/exe")


@pytest.mark.parametrize(
    ("code", "sent", "memory", "log", "state", "cause"),
    [
        (-9, "", False, "", "failed", "killed by SIGKILL"),
        (-9, "", True, "", "failed", "killed: out of memory"),
        (-11, "", True, "", "failed", "killed by SIGSEGV"),
        (2, "", False, "one\nno module named torch\n\n", "failed", "no module named torch"),
        (1, "", False, "", "failed", "ended with code 1"),
    ],
)
def test_how_it_ended_is_told_when_the_run_could_not(folder, code, sent, memory, log, state, cause):
    write_state(folder, "running", step=7)
    (folder / "log.txt").write_text(log)
    assert supervisor._conclude(folder, code, sent, memory) == state
    told = read_state(folder)
    assert (told["state"], told["cause"], told["step"]) == (state, cause, 7)


def test_a_run_that_was_killed_for_a_wish_ends_as_wished_and_says_so(folder):
    write_state(folder, "running")
    wish(folder, "pause")
    assert supervisor._conclude(folder, -9, "SIGKILL", False) == "paused"
    assert "ended by SIGKILL after 30 s; its last checkpoint is whole" in read_state(folder)["cause"]


def test_what_the_run_told_is_not_told_over(folder):
    write_state(folder, "failed", cause="its own")
    wish(folder, "cancel")
    assert supervisor._conclude(folder, 1, "", False) == "failed"
    assert read_state(folder)["cause"] == "its own"


def test_a_folder_that_is_no_run_is_refused_with_a_sentence(tmp_path, capsys):
    assert supervisor.main([str(tmp_path)]) == 2
    assert "is no run: it has no run.json" in capsys.readouterr().err


def test_the_supervisor_loads_nothing_heavy():
    code = (
        "import sys, lab.runs.supervisor; print(sorted({'torch', 'numpy', 'pydantic', 'streamlit'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
