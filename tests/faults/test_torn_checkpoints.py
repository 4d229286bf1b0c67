"""Checkpoints that a crash or a disk has spoilt between a kill and the resume."""

import os

import pytest
from patience_runs import computes, ends, kill, undisturbed, until

from engine.record import checkpoints

pytestmark = pytest.mark.faults
STEPS = 30


def cut(path):
    os.truncate(path, path.stat().st_size * 2 // 3)


def empty(path):
    os.truncate(path, 0)


def noise(path):
    path.write_bytes(os.urandom(path.stat().st_size))


def a_spoilt_sector(path):
    """The header is whole, the file opens, and some of what it holds is not what was written."""
    with open(path, "r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(os.urandom(8))


@pytest.fixture
def killed(begin):
    """A run with two checkpoints that was killed after more steps."""
    run = begin(steps=STEPS, wait=0.06)
    pid = computes(run)
    for count in (1, 2):
        run.save_now()
        until(lambda count=count: len(run.checkpoints()) == count)
    (_, (last, _)) = run.checkpoints()
    until(lambda: run.series()[-1]["step"] > last)
    kill(pid)
    assert ends(run) == "failed"
    return run


def is_whole(run):
    assert ends(run) == "done"
    assert [row["step"] for row in run.series()] == list(range(1, STEPS + 1))
    assert [row["loss"] for row in run.series()] == pytest.approx(undisturbed(STEPS))


@pytest.mark.fault(
    "the newest checkpoint is cut, emptied, or spoilt in a few bytes",
    "resume goes on from the one before; the log says which was passed over",
    lost="steps since the one before, which are done again",
)
@pytest.mark.parametrize("spoil", [cut, empty, noise, a_spoilt_sector])
def test_a_torn_checkpoint_gives_way_to_the_one_before(killed, spoil):
    (before, _), (_, newest) = killed.checkpoints()
    spoil(newest)
    spoilt = newest.read_bytes()
    killed.resume()
    is_whole(killed)
    log = (killed.folder / "log.txt").read_text(errors="replace")
    assert f"{newest} " in log
    assert f"It is passed over and kept as {newest.stem}.torn." in log
    assert f"The run goes on from {before:08d}.safetensors, after step {before}." in log
    assert newest.with_suffix(".torn").read_bytes() == spoilt
    assert [step for step, _ in checkpoints(killed.folder)][-1] == STEPS


@pytest.mark.fault(
    "all checkpoints of a run are spoilt",
    "resume starts again from step 0 and says so; no step is there twice",
    lost="all steps, which are done again",
)
def test_when_all_are_torn_it_starts_again(killed):
    (_, older), (_, newest) = killed.checkpoints()
    noise(newest)
    cut(older)
    killed.resume()
    computes(killed)
    rows = killed.series()
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    killed.pause()  # the checkpoint that this leaves is no. 1 of 1, though the torn ones were of later steps
    assert ends(killed) == "paused"
    ((step, _),) = killed.checkpoints()
    assert step == killed.told["step"] == len(killed.series())
    killed.resume()
    is_whole(killed)
    log = (killed.folder / "log.txt").read_text(errors="replace")
    assert log.count("No checkpoint can be opened: the run starts again from step 0.") == 1
    assert log.count("It is passed over and kept as") == 2
