"""Locks are held by processes, so every holder here is one."""

import os
import signal
import subprocess
import sys

import pytest

from engine.lock import RUN, SUPERVISOR, Lock, holder

HOLD = """
import os, sys, time
from pathlib import Path
from engine.lock import Lock
lock = Lock(Path(sys.argv[1]), int(sys.argv[2]))
print("held" if lock.take() else "refused", flush=True)
if sys.argv[3] == "fork" and os.fork() == 0:
    print(os.getpid(), flush=True)
    time.sleep(60)
time.sleep(60)
"""


@pytest.fixture
def hold(tmp_path):
    processes = []

    def start(byte=0, then=""):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, tmp_path / "live.lock", str(byte), then], stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        process.said = process.stdout.readline().strip()
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_nobody_holds_a_lock_that_is_not_there_or_not_taken(tmp_path):
    assert holder(tmp_path / "live.lock") is None
    (tmp_path / "live.lock").touch()
    assert holder(tmp_path / "live.lock") is None


@pytest.mark.parametrize("byte", [SUPERVISOR, RUN])
def test_the_holder_of_any_byte_is_named_and_refuses_only_that_byte(hold, tmp_path, byte):
    process = hold(byte)
    assert holder(tmp_path / "live.lock") == process.pid
    assert hold(byte).said == "refused"
    assert hold(1 - byte).said == "held"


def test_a_killed_holder_holds_nothing_though_its_process_is_still_a_zombie(hold, tmp_path):
    process = hold()
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    os.kill(process.pid, 0)  # the pid still answers
    assert holder(tmp_path / "live.lock") is None


def test_a_forked_child_does_not_keep_the_lock(hold, tmp_path):
    process = hold(then="fork")
    child = int(process.stdout.readline())
    process.kill()
    process.wait()
    try:
        os.kill(child, 0)
        assert holder(tmp_path / "live.lock") is None
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_block_under_a_lock_that_is_held_says_by_whom(hold, tmp_path):
    process = hold()
    with pytest.raises(ValueError, match=f"in use by process {process.pid}"), Lock(tmp_path / "live.lock"):
        pass


def test_looking_takes_nothing(hold, tmp_path):
    for _ in range(3):
        assert holder(tmp_path / "live.lock") is None
    assert hold().said == "held"


def test_a_released_lock_is_free(hold, tmp_path):
    with Lock(tmp_path / "live.lock"):
        assert hold().said == "refused"
    assert hold().said == "held"
