"""A real small disk that fills while a run writes. Needs the right to mount one."""

import os
import subprocess

import pytest
from patience_runs import computes, ends, until

from engine import catalog
from engine.bench import Setup
from engine.folder import plan_run
from engine.run import run as carry_out
from lab.runs import Run
from lab.runs.run import LOCAL, plan
from lab.share.archive import export
from lab.share.bring import bring

pytestmark = pytest.mark.faults


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, check=False
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip("this user may not mount a small disk")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.fault(
    "the disk fills up while a run computes",
    "failed with a sentence; the last checkpoint is whole; resume once there is room",
    lost="steps since the checkpoint, which are done again",
)
def test_a_disk_that_fills_up_fails_the_run_with_a_sentence_and_loses_nothing(home, small_disk):
    folder = small_disk / "run"
    params = catalog.method("toy.patience").params.make({"steps": 400, "wait": 0.01})
    plan_run(folder, "toy.patience", params, Setup(device="cpu"))
    run = Run(folder)
    LOCAL.submit(folder)
    computes(run)
    run.save_now()
    until(lambda: run.checkpoints())
    saved = run.checkpoints()[0][1].read_bytes()
    filler = small_disk / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            os.fsync(file.fileno())
    assert ends(run) == "failed"
    assert "No space left on device" in run.cause
    assert run.hint == "The disk is full: free some space, then resume. The last checkpoint is whole."
    assert run.checkpoints()[0][1].read_bytes() == saved
    filler.unlink()
    LOCAL.submit(folder)
    assert ends(run) == "done"
    assert [row["step"] for row in run.series()] == list(range(1, 401))


@pytest.mark.fault(
    "the disk fills up during an export",
    "a sentence; nothing under the final name",
)
def test_an_export_that_does_not_fit_leaves_nothing_under_its_name(home, small_disk):
    run = plan("toy.patience", catalog.method("toy.patience").params.make({}), Setup(device="cpu"))
    assert carry_out(run.folder) == "done"
    (run.folder / "log.txt").write_bytes(bytes(3 << 20))
    with pytest.raises(OSError, match="No space left"):
        export(run, small_disk / "run.zip")
    assert list(small_disk.iterdir()) == []
    (run.folder / "log.txt").unlink()
    export(run, small_disk / "run.zip")
    assert bring(small_disk / "run.zip", as_copy=True).state == "done"
