"""Memory that runs out at a step: as torch tells it of a GPU, for real at a limit of the process, and by the kernel."""

import re
import resource
from pathlib import Path

import pytest
from app_pages import opened, text
from patience_runs import computes, ends, lab, until

from engine.record import rows
from lab.runs import all_runs
from lab.runs.run import RESUMABLE

pytestmark = pytest.mark.faults
HINT = r"Not enough memory: batch 64 needs more than ([\d,]+) MB of ([\d,]+) MB\. Batch (\d+) needs about ([\d,]+) MB\."
ROOM = 800 << 20


def limited(pid):
    """Leave this process ROOM bytes beyond what it has."""
    status = Path(f"/proc/{pid}/status").read_text()
    most = (int(re.search(r"VmSize:\s+(\d+)", status)[1]) << 10) + ROOM
    resource.prlimit(pid, resource.RLIMIT_AS, (most, most))


@pytest.fixture
def group():
    """A control group of processes that may have little memory together."""
    groups = Path("/sys/fs/cgroup/memory")
    place = groups / "visionarium-test"
    try:
        place.mkdir()
    except OSError:
        pytest.skip("this user may not make a control group of memory")
    yield place
    for pid in (place / "cgroup.procs").read_text().split():
        (groups / "cgroup.procs").write_text(pid)
    place.rmdir()


@pytest.mark.fault(
    "memory runs out at a step, as torch tells it of a GPU, or at the limit of the process",
    "failed; the cause in a line; the hint names a batch that fits, and a clone with it is offered",
    lost="steps since the checkpoint",
)
def test_a_gpu_without_memory_is_told_with_the_batch_to_take(begin):
    run = begin(steps=20, batch=64, full_at=5)
    assert ends(run) == "failed"
    assert run.cause.startswith("OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.")
    assert "\n" not in run.cause
    needs, _, fits, less = re.fullmatch(HINT, run.hint).groups()
    assert int(needs.replace(",", "")) > 2048
    assert int(less.replace(",", "")) < int(needs.replace(",", ""))
    assert run.told["instead"] == {"batch": int(fits)}
    assert 1 <= int(fits) <= 32
    assert [row["step"] for row in rows(run.folder)] == [1, 2, 3, 4]
    said = text(opened("run", id=run.id))
    assert run.hint in said
    assert f"Clone with batch {fits}" in said


def test_at_a_limit_of_the_process_the_batch_that_is_named_fits_and_a_resume_does_when_the_limit_is_gone(begin):
    knobs = {"steps": 16, "batch": 64, "wait": 0.1, "hoard_at": 15, "hoard": 16}
    run = begin(**knobs)
    limited(computes(run))
    run.save_now()
    until(lambda: run.checkpoints())
    assert ends(run) == "failed"
    assert "can't allocate memory" in run.cause
    *_, fits, _ = re.fullmatch(HINT, run.hint).groups()
    code, said, wrong = lab("train", "--from", run.id, "--batch", fits, "--detach")
    assert code == 0, wrong
    clone = next(one for one in all_runs() if one.id == said.strip())
    limited(computes(clone))
    assert ends(clone) == "done", (clone.cause, run.hint)
    assert run.state in RESUMABLE
    run.resume()
    assert ends(run) == "done"
    assert [row["step"] for row in run.series()] == list(range(1, 17))


@pytest.mark.fault(
    "the kernel kills a run for want of memory",
    "failed, with that as its cause, and half the batch is offered",
    lost="steps since the checkpoint",
)
def test_what_the_kernel_kills_for_memory_is_told_as_that(begin, group):
    run = begin(steps=32, batch=64, wait=0.1, hoard_at=30, hoard=16)
    pid = computes(run)
    until(lambda: "peak_mb" in run.told)
    (group / "memory.limit_in_bytes").write_text(str(256 << 20))
    (group / "cgroup.procs").write_text(str(pid))
    assert ends(run) == "failed"
    assert run.cause == "killed: out of memory"
    assert run.hint.startswith("Not enough memory")
    assert 1 <= run.told["instead"]["batch"] <= 32
    run.resume()
    assert ends(run) == "done"
