"""The home's disk becomes one that can only be read, as a file system does that has met an error."""

import os
import signal

import pytest
from patience_runs import READ_ONLY, computes, ends, lab, losses, undisturbed, until

from lab.runs import all_runs

pytestmark = pytest.mark.faults


@pytest.mark.fault(
    "the home's disk becomes read-only while a run computes",
    "runs are listed, each wish is refused with a sentence, the run is lost and its log says why; once the disk can be "
    "written, resume goes on",
    lost="steps since the checkpoint, which are done again",
)
def test_a_run_on_a_disk_that_becomes_read_only(disk, begin):
    run, waiting = begin(steps=60, wait=0.05), begin(steps=2)
    pid = computes(run)
    run.save_now()
    until(lambda: run.checkpoints())
    os.kill(pid, signal.SIGSTOP)
    disk(writable=False)
    for asked in (run.cancel, run.pause, run.save_now, waiting.hold, waiting.cancel):
        with pytest.raises(ValueError, match=READ_ONLY):
            asked()
    assert (run.state, waiting.state) == ("running", "queued")
    os.kill(pid, signal.SIGCONT)
    assert ends(run) == "lost"
    assert "or its folder could not be written" in run.cause
    assert "Read-only file system" in "".join(run.log_tail())
    assert [one.id for one in all_runs()] == [waiting.id, run.id]
    code, said, wrong = lab("runs", "list")
    assert (code, run.id in said, waiting.id in said) == (0, True, True), wrong
    for words in (["runs", "resume", run.id], ["runs", "delete", run.id, "--yes"], ["train", "toy.patience"]):
        code, _, wrong = lab(*words)
        assert (code, READ_ONLY in wrong) == (2, True), wrong
    assert waiting.state == "queued"
    disk(writable=True)
    assert [one.id for one in all_runs()] == [waiting.id, run.id]
    assert ends(waiting) == "done", "it waits until its start can be told"
    run.resume()
    assert ends(run) == "done"
    assert losses(run) == pytest.approx(undisturbed(60))
    assert [row["step"] for row in run.series()] == list(range(1, 61))
