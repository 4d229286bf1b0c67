"""What runs take, who needs them, and which checkpoints may go."""

import json
import os

import pytest
from patience_runs import computes, ends

from engine import catalog
from engine.bench import Setup
from engine.best import Figure
from engine.folder import wish
from engine.record import milestones
from engine.run import run as carry_out
from lab.runs import all_runs
from lab.runs.housekeeping import Dependent, Use, best_step, check_dependents, dependents, thin, use
from lab.runs.run import plan


def planned(**knobs):
    return plan("toy.patience", catalog.method("toy.patience").params.make(knobs), Setup(device="cpu"))


@pytest.fixture
def run(home):
    """A run of eight steps with checkpoints at 3 and 8."""
    run = planned(steps=8)
    carry_out(run.folder, lambda step, _: step == 3 and wish(run.folder, "pause"))
    assert carry_out(run.folder) == "done"
    assert steps(run) == [3, 8]
    return run


def steps(run):
    return [step for step, _ in run.checkpoints()]


def test_uses_add_up_to_what_the_disk_gives(run):
    (run.folder / "log.txt").write_bytes(bytes(5000))
    told = use(run.folder)
    blocks = {
        found.st_ino: found.st_blocks for path in run.folder.rglob("*") if path.is_file() for found in [path.stat()]
    }
    assert told.total == 512 * sum(blocks.values())
    assert told.log == 512 * (run.folder / "log.txt").stat().st_blocks
    assert told.checkpoints == 512 * sum(
        path.stat().st_blocks for path in [*dict(run.checkpoints()).values(), *dict(milestones(run.folder)).values()]
    )
    assert told + Use(1, 2, 3, 4) == Use(told.checkpoints + 1, told.media + 2, told.log + 3, told.rest + 4)


def test_a_second_name_of_a_file_takes_nothing(run):
    before = use(run.folder)
    os.link(run.checkpoints()[0][1], run.folder / "checkpoints" / "best.safetensors")
    assert use(run.folder) == before


def test_nobody_needs_a_run_where_nothing_tells_of_it(run):
    assert dependents([run.id]) == {}
    check_dependents([run.id])


def test_clones_readers_and_sweeps_are_found_unless_they_go_too(run, home):
    clone, reader = planned(), planned()
    told = json.loads((clone.folder / "run.json").read_text())
    (clone.folder / "run.json").write_text(json.dumps(told | {"cloned_from": run.id}))
    told["values"]["start"] = str(run.checkpoints()[0][1])
    (reader.folder / "run.json").write_text(json.dumps(told))
    for name, content in (
        ("lr", json.dumps({"runs": [run.id]})),
        ("torn", "{"),
        ("other", '{"runs": 3}'),
        ("none", ""),
    ):
        (home / "sweeps" / name).mkdir(parents=True)
        (home / "sweeps" / name / "sweep.json").write_text(content)
    (home / "sweeps" / "empty").mkdir()
    assert dependents([run.id]) == {
        run.id: [
            Dependent("run", clone.id, "was cloned from it"),
            Dependent("run", reader.id, "reads its files"),
            Dependent("sweep", "lr", "holds it"),
        ]
    }
    with pytest.raises(ValueError, match=f"run {run.id} is needed: run {clone.id} was cloned from it, run"):
        check_dependents([run.id])
    assert [one.id for one in dependents([run.id, clone.id, reader.id])[run.id]] == ["lr"]


def test_thinning_leaves_the_newest_and_the_run_resumable(run):
    assert [path.name for path in thin(run)] == ["00000003.safetensors"]
    assert steps(run) == [8]
    assert thin(run) == []
    assert steps(run) == [8]


def test_the_best_stays_too(run):
    course = {row["step"]: row["loss"] for row in run.series()}
    worst = max((3, 8), key=course.get)
    assert best_step(run, Figure("loss", True), [3, 8]) == worst
    thin(run, 1, Figure("loss", True))
    assert steps(run) == sorted({worst, 8})


def test_a_figure_counts_as_it_was_last_reported_before_the_checkpoint(run):
    lines = [{"step": 2, "a": 5.0}, {"step": 3}, {"step": 6, "a": 1.0}, {"step": 7, "a": None}, {"step": 9, "a": 9.0}]
    (run.folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert best_step(run, Figure("a", True), [3, 8]) == 3
    assert best_step(run, Figure("a", False), [3, 8]) == 8
    with pytest.raises(ValueError, match="no number 'b' is reported; there are a"):
        best_step(run, Figure("b", True), [3, 8])
    with pytest.raises(ValueError, match="reported no 'a' before its checkpoints"):
        best_step(run, Figure("a", True), [1])


def test_a_torn_checkpoint_is_not_taken_for_the_last(run):
    newest = run.checkpoints()[-1][1]
    newest.write_bytes(newest.read_bytes()[:-5])
    assert thin(run) == []
    assert steps(run) == [3, 8]


def test_no_checkpoint_at_all_cannot_be_asked_for(run):
    with pytest.raises(ValueError, match="at least one checkpoint is kept"):
        thin(run, 0)
    assert steps(run) == [3, 8]


def test_a_living_run_is_not_touched(begin):
    run = begin(steps=200, wait=0.05)
    computes(run)
    with pytest.raises(ValueError, match=f"run {run.id} is running: its checkpoints are its own"):
        thin(run)
    run.cancel()
    assert ends(run) == "cancelled"
    assert [one.id for one in all_runs()] == [run.id]
