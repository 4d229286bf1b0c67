"""The best checkpoint by a reported number: which it is, that it outlives the newest, and resume."""

import json

import pytest
from patience_runs import home  # noqa: F401 - a fixture

from engine import catalog
from engine.bench import Setup
from engine.best import Best, Figure, best_of
from engine.checkpoint import read_checkpoint
from engine.folder import plan_run, read_state, wish
from engine.record import checkpoints, rows
from engine.run import run


@pytest.mark.parametrize(
    ("words", "figure"),
    [
        ("accuracy", Figure("accuracy", True)),
        ("accuracy:min", Figure("accuracy", False)),
        ("teacher/loss", Figure("teacher/loss", False)),
        ("loss:max", Figure("loss", True)),
        ("Test error", Figure("Test error", False)),
        ("a:b", Figure("a:b", True)),
        (":max", Figure(":max", True)),
    ],
)
def test_a_figure_is_read_from_words(words, figure):
    assert Figure.read(words) == figure


@pytest.mark.parametrize(("higher", "better"), [(True, [0, 2, 5]), (False, [0, 1, 4])])
def test_only_what_is_better_than_all_before_improves(tmp_path, higher, better):
    best = Best(tmp_path, Figure("a", higher))
    values = [3.0, 2.0, 4.0, float("nan"), 1.0, 5.0]
    assert [i for i, value in enumerate(values) if best.improves({"a": value})] == better
    assert not best.improves({"b": 9.0})


@pytest.fixture
def planned(home, tmp_path):  # noqa: F811
    def plan(name="run", keep_best="loss:max", **knobs):
        folder = tmp_path / name
        setup = Setup.make({"device": "cpu", "keep_best": keep_best, "looks": 1000})
        plan_run(folder, "toy.patience", catalog.method("toy.patience").params.make({"steps": 8} | knobs), setup)
        return folder

    return plan


def best_row(folder):
    """By the definition: the first of the rows with the largest loss."""
    return max(rows(folder), key=lambda row: (row["loss"], -row["step"]))


def test_the_best_checkpoint_is_kept_beside_the_newest(planned):
    folder = planned()
    assert run(folder) == "done"
    row = best_row(folder)
    assert row["step"] < 7, "else the newest two would hold it anyway"
    assert best_of(folder) == {"figure": "loss", "value": row["loss"], "step": row["step"]}
    assert read_checkpoint(folder / "checkpoints" / "best.safetensors").step == row["step"]
    assert [step for step, _ in checkpoints(folder)][-1] == 8


def test_a_resumed_run_knows_what_was_best_before(planned):
    whole = planned("whole")
    run(whole)
    folder = planned()
    assert run(folder, lambda step, _: step == 5 and wish(folder, "pause")) == "paused"
    assert run(folder) == "done"
    assert best_of(folder) == best_of(whole)


def test_a_disk_without_second_names_gets_a_copy(planned, monkeypatch):
    def refuse(*_):
        raise OSError(1, "no links here")

    monkeypatch.setattr("os.link", refuse)
    folder = planned()
    assert run(folder) == "done"
    assert read_checkpoint(folder / "checkpoints" / "best.safetensors").step == best_row(folder)["step"]


def test_a_number_that_nobody_reports_fails_at_once_in_words(planned):
    folder = planned(keep_best="acuracy")
    assert run(folder) == "failed"
    assert read_state(folder)["cause"] == "keep_best: no number 'acuracy' is reported; there are loss"
    assert rows(folder) == []


@pytest.mark.parametrize("damaged", ["", "[]", "{}", json.dumps({"figure": "a", "value": "x", "step": 1})])
def test_a_damaged_note_is_no_note(tmp_path, damaged):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "best.json").write_text(damaged)
    assert best_of(tmp_path) == {}
