"""Sweeps: checked whole before anything starts, made once each whatever is killed when, compared as defined."""

import itertools
import json
import os
import random
import re
import statistics
import sys

import pytest

from engine.bench import Setup
from engine.catalog import method
from engine.folder import read_state, write_state
from engine.lock import Lock
from lab.runs import all_runs
from lab.runs import run as run_module
from lab.runs import sweep as sweep_module
from lab.runs.cells import ORDER, Cell, best, cells
from lab.runs.executors import Local
from lab.runs.figure import is_higher_better, known_figures
from lab.runs.kept import keep, read_kept, write_kept
from lab.runs.sweep import MOST, all_sweeps, find_sweep, lay_out, plan_sweep

GRID = {"batch": (2, 4), "lr": (0.1, 0.2)}


@pytest.fixture(scope="session", autouse=True)
def _torch():
    import engine.bench  # noqa: F401 - once, before anything forks


def params(**knobs):
    return method("toy.patience").params.make(knobs)


def planned(grid=GRID, **more):
    return plan_sweep("toy.patience", params(), Setup(device="cpu"), grid, **more)


class Ledger(Local):
    """Carries nothing out: it counts how often a run was submitted, and tells that it is done, in one write."""

    def submit(self, folder):
        told = {"state": "done", "step": 5, "steps": 5, "times": read_state(folder).get("times", 0) + 1}
        (folder / "state.json").write_text(json.dumps(told))


@pytest.fixture
def ledger(home, monkeypatch):
    one = Ledger()
    for module in (run_module, sweep_module):
        monkeypatch.setattr(module, "LOCAL", one)
    return one


def submitted(sweep):
    return [run.told["times"] if run else 0 for run in sweep.runs]


def test_a_sweep_is_its_file_and_its_runs_are_ordinary_ones(ledger):
    sweep = planned(seeds=2, name="try")
    assert sweep.runs == [None] * 8
    assert sweep.standing == "stopped"
    assert list(all_runs()) == []
    heard = []
    sweep.make(told=heard.append)
    assert [run.id for run in heard] == sweep.plan.runs == [run.id for run in sweep.runs]
    assert [run.id for run in all_runs()] == sorted(sweep.plan.runs, reverse=True)
    created = [run.plan.created for run in sweep.runs]
    assert created == sorted(created), "they would not start in the order of the plan"
    asked = [(run.plan.values["batch"], run.plan.values["lr"], run.plan.setup["seed"]) for run in sweep.runs]
    assert asked == [(batch, lr, seed) for seed in (0, 1) for batch in (2, 4) for lr in (0.1, 0.2)]
    assert sweep.runs[-1].plan.name == "try batch=4 lr=0.2 seed 1"
    assert sweep.standing == "done"
    assert [found.id for found in all_sweeps()] == [sweep.id]
    before = (sweep.folder / "sweep.json").read_bytes()
    find_sweep(sweep.id).resume()
    assert (sweep.folder / "sweep.json").read_bytes() == before
    assert submitted(sweep) == [1] * 8


def test_what_is_compared_is_the_claims_figure_or_another_that_the_method_shows(ledger):
    plan = planned().plan
    assert (plan.figure, plan.higher, plan.take) == ("loss", False, "last")
    plan = planned(figure="first", higher=False, take="best").plan
    assert (plan.figure, plan.higher, plan.take) == ("first", False, "best")
    toy = method("toy.patience")
    assert known_figures(toy) == ["loss", "first"]
    assert is_higher_better("accuracy", toy)
    assert not is_higher_better("loss", toy)


@pytest.mark.parametrize(
    ("grid", "more", "sentence"),
    [
        ({}, {}, "no knob is varied; name one to four with their values, such as lr=0.001,0.003"),
        ({"lr": ()}, {"seeds": 0}, "lr: no values are given; write them with commas between; seeds: 0 cannot be; "
                                   "allowed is 1 to 100"),
        ({"lr": (0.1, 99.0), "batch": (0, 1)}, {},
         "batch: 0 is out of range; allowed is 1 to 1000; lr: 99.0 is out of range; allowed is 0.0 to 10.0"),
        ({"lrr": (1,)}, {}, "lrr: there is no such knob"),
        ({"batch": tuple(range(1, 101))}, {"seeds": 3}, f"this grid is 300 runs, and at most {MOST} are allowed"),
        (GRID, {"figure": "accuracy"}, "figure: toy.patience does not show 'accuracy'; choose loss, first"),
        (GRID, {"name": "a\nb"}, "printable characters"),
        ({"data": ("garments", "garmets")}, {}, "garmets"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_whole_before_anything_is_there(ledger, home, grid, more, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        planned(grid, **more)
    assert not list((home / "runs").glob("*"))
    assert not list((home / "sweeps").glob("*"))


def test_a_refusal_names_the_first_problems_and_counts_the_rest(home):
    says = "; ".join(f"batch: {i} is out of range; allowed is 1 to 1000" for i in range(1001, 1006))
    with pytest.raises(ValueError, match=f"^{re.escape(says)}; and 3 more$"):
        lay_out(params(), {"batch": tuple(range(1001, 1009))})


def test_ids_from_outside_are_checked(home):
    with pytest.raises(ValueError, match="is no sweep's id"):
        find_sweep("../../etc")
    with pytest.raises(ValueError, match="there is no sweep"):
        find_sweep("20261122-171233-4f2a")
    (home / "sweeps" / "20261122-171233-4f2a").mkdir(parents=True)
    with pytest.raises(ValueError, match="it has no sweep"):
        find_sweep("20261122-171233-4f2a")
    (home / "sweeps" / "20261122-171233-4f2a" / "sweep.json").write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        find_sweep("20261122-171233-4f2a")


TRACED = ("lab/runs/sweep.py", "lab/runs/run.py", "lab/home.py", "engine/folder.py", "engine/files.py")


def killed_after(lines, work):
    """Do `work` in a child that the kernel takes away before line number `lines` of the files above.

    Whether it was; nothing is cleaned up then, no `finally` runs.
    """
    child = os.fork()
    if child == 0:
        left = [lines]

        def trace(frame, event, _):
            if not frame.f_code.co_filename.endswith(TRACED):
                return None
            if event == "line":
                left[0] -= 1
                if left[0] < 0:
                    os._exit(9)
            return trace

        sys.settrace(trace)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.slow
def test_killed_at_any_line_it_is_either_not_there_or_completed_without_a_cell_twice(ledger, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep_module, "check", lambda *_: None)  # it writes nothing, and takes its time
    there = 0
    for lines in itertools.count():
        monkeypatch.setenv("VISIONARIUM_HOME", str(tmp_path / f"home{lines}"))
        killed = killed_after(lines, lambda: planned({"lr": (0.1, 0.2)}).make())
        found = list(all_sweeps())
        assert len(found) <= 1
        for sweep in found:
            there += 1
            sweep.resume()
            assert submitted(sweep) == [1] * 2
            assert sweep.standing == "done"
        assert len(all_runs()) == 2 * len(found)
        if not killed:
            break
    assert there > 50


def test_a_stop_keeps_the_rest_from_being_made_and_a_resume_takes_it_back(ledger):
    sweep = planned()

    def stop(run):
        if len([one for one in sweep.runs if one]) == 2:
            sweep.stop()

    sweep.make(told=stop)
    assert submitted(sweep) == [1, 1, 0, 0]
    sweep.make()
    assert submitted(sweep) == [1, 1, 0, 0], "only a resume takes a stop back"
    sweep.resume()
    assert submitted(sweep) == [1, 1, 1, 1]


@pytest.mark.parametrize("state", ["failed", "cancelled", "paused"])
def test_a_resume_goes_on_with_what_ended_early_and_leaves_alone_what_is_done(ledger, state):
    sweep = planned()
    sweep.make()
    write_state(sweep.runs[1].folder, state)
    assert sweep.standing == "stopped"
    sweep.resume()
    assert submitted(sweep) == [1, 2, 1, 1]
    sweep.runs[3].delete()
    assert sweep.runs[3] is None
    sweep.resume()
    assert submitted(sweep) == [1, 2, 1, 1]


def test_a_sweep_is_deleted_with_its_runs_and_with_the_places_of_those_that_were_never_made(ledger, home):
    sweep, other = planned(), planned({"lr": (0.1, 0.2)})
    sweep.make(told=lambda run: sweep.stop() if len([one for one in sweep.runs if one]) == 2 else None)
    other.make()
    assert all((home / "runs" / id).is_dir() for id in sweep.plan.runs)
    sweep.delete()
    assert [one.id for one in all_sweeps()] == [other.id]
    assert sorted(path.name for path in (home / "runs").iterdir()) == sorted(other.plan.runs)


def test_a_sweep_that_goes_on_is_not_deleted_and_loses_nothing(ledger, monkeypatch):
    sweep = planned()
    sweep.make()
    with monkeypatch.context() as now:
        now.setattr(run_module.Run, "state", "running")
        with pytest.raises(ValueError, match="goes on; stop it"):
            sweep.delete()
    assert all(sweep.runs)


def test_a_deletion_that_was_interrupted_is_done_again(ledger, monkeypatch):
    sweep = planned()
    sweep.make()
    real, gone = run_module.Run.delete, []

    def delete(run):
        if gone:
            raise OSError("the disk is away")
        gone.append(run.id)
        real(run)

    monkeypatch.setattr(run_module.Run, "delete", delete)
    with pytest.raises(OSError, match="away"):
        sweep.delete()
    assert [bool(run) for run in sweep.runs] == [False, True, True, True]
    monkeypatch.setattr(run_module.Run, "delete", real)
    sweep.delete()
    assert not list(all_sweeps())


def test_only_one_process_makes_the_runs(ledger):
    sweep = planned()
    child = os.fork()
    if child == 0:
        with Lock(sweep.folder / "making.lock"):
            import time

            time.sleep(30)
        os._exit(0)
    try:
        while not sweep.making:
            pass
        assert sweep.standing == "making"
        with pytest.raises(ValueError, match="is in use by process"):
            sweep.make()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    sweep.make()
    assert sweep.standing == "done"


def test_cells_say_what_their_runs_say_in_the_slow_way_too(ledger):
    chance = random.Random(1)
    sweep = planned({"batch": (1, 2, 3), "lr": (0.1, 0.2)}, seeds=3)
    sweep.make()
    told = {}
    for number, run in enumerate(sweep.runs):
        numbers = [chance.random() for _ in range(chance.randint(1, 6))]
        told[number] = numbers
        lines = [json.dumps({"step": i + 1, "time": 0.1, "loss": x}) for i, x in enumerate(numbers)]
        (run.folder / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 99, "time": 1, "loss": null}']) + "\n")
    unfinished = {4: "failed", 6: "cancelled", 10: "running"}
    for number, state in unfinished.items():
        write_state(sweep.runs[number].folder, state, step=2, steps=8, cause="it broke" if state == "failed" else None)
    sweep.runs[5].delete()
    for take, pick in (("last", lambda x: x[-1]), ("best", min)):
        found = cells(sweep, take=take)
        assert [dict(cell.place) for cell in found] == [
            {"batch": batch, "lr": lr} for batch in (1, 2, 3) for lr in (0.1, 0.2)
        ]
        for place, cell in enumerate(found):
            numbers = [place, place + 6, place + 12]
            done = [pick(told[n]) for n in numbers if n not in unfinished and n != 5]
            assert cell.figures == pytest.approx(done)
            assert cell.mean == pytest.approx(sum(done) / len(done))
            slow = (sum((x - cell.mean) ** 2 for x in done) / max(1, len(done) - 1)) ** 0.5
            assert cell.deviation == pytest.approx(slow)
    assert [cell.state for cell in found] == ["cancelled", "done", "done", "done", "failed", "missing"]
    assert [cell.progress for cell in found] == pytest.approx(
        [(2 / 8 + 2) / 3, 1, 1, 1, (2 / 8 + 2 / 8 + 1) / 3, 2 / 3]
    )
    assert [cell.cause for cell in found] == ["", "", "", "", "it broke", ""]
    assert best(found, False) is min(found, key=lambda cell: cell.mean)
    assert best(found, True) is max(found, key=lambda cell: cell.mean)
    assert [cell.mean for cell in cells(sweep, "no such number")] == [None] * 6


def test_what_is_kept_of_a_sweep_is_what_its_runs_said_last(ledger, tmp_path):
    sweep = planned(seeds=2)
    sweep.make()
    for number, run in enumerate(sweep.runs):
        lines = [
            {"step": 1, "time": 0, "loss": 9, "right": 0},
            {"step": 2, "time": 0, "loss": number, "right": -number},
        ]
        (run.folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    write_kept(tmp_path / "kept.json", keep(sweep, ["right"]))
    kept = read_kept(tmp_path / "kept.json")
    assert kept.figures == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert kept.also == {"right": [[0, -4], [-1, -5], [-2, -6], [-3, -7]]}
    assert [(cell.place, cell.mean) for cell in kept.cells] == [
        ({"batch": batch, "lr": lr}, 2 + i) for i, (batch, lr) in enumerate(itertools.product((2, 4), (0.1, 0.2)))
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", kept.date)
    with pytest.raises(ValueError, match=f"also: not every run of sweep {sweep.id} reported 'fame'"):
        keep(sweep, ["fame"])


def test_the_state_of_a_cell_is_the_most_urgent_of_its_runs():
    def cell(*states):
        return Cell({}, (), states, (), 0.0, "")

    for i, first in enumerate(ORDER):
        for later in ORDER[i:]:
            assert cell("done", later, first).state == first
    assert cell("done", "done").state == "done"
    assert cell("done").mean is None
    assert cell("done").deviation == 0.0
    one = Cell({}, (), ("done",), (0.5, 0.7), 1.0, "")
    assert (one.mean, one.deviation) == (pytest.approx(0.6), pytest.approx(statistics.stdev([0.5, 0.7])))
