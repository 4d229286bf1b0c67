"""What is put side by side belongs together: axes, series, stored steps; and who cannot be compared is told."""

import json

import numpy as np
import pytest
from starlette.requests import Request

from engine.bench import Setup
from engine.catalog import method
from engine.folder import Plan
from lab.overlaid import Overlaid, clock, line, send_script
from lab.parts.compare_curves import ends
from lab.plots import thin
from lab.runs import compare
from lab.runs.compare import (
    Columns,
    aligned,
    columns,
    compared,
    curve,
    epoch_steps,
    labels,
    running_mean,
    shared,
    summary,
)
from lab.runs.run import plan


@pytest.fixture
def two(home):
    params = method("toy.patience").params.make({})
    return [plan("toy.patience", params, Setup(), "one"), plan("toy.patience", params, Setup(), "one")]


def write(run, rows, mode="w"):
    with open(run.folder / "metrics.jsonl", mode) as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))


def test_runs_are_named_by_ids_and_others_are_refused(two):
    assert [run.id for run in compared(f"{two[1].id}, {two[0].id},{two[1].id}")] == [two[1].id, two[0].id]
    with pytest.raises(ValueError, match="1 run is named; choose 2 to 8"):
        compared(two[0].id)
    with pytest.raises(ValueError, match="21 runs are named"):
        compared(",".join(map(str, range(21))))
    with pytest.raises(ValueError, match="there is no run 20200101-000000-abcd"):
        compared(f"{two[0].id},20200101-000000-abcd")


def test_runs_of_one_name_are_told_apart(two):
    assert labels([two[0]]) == ["one"]
    assert labels(two) == [f"one {run.id[-11:]}" for run in two]


def test_series_are_read_once_and_again_only_when_they_have_grown(two, monkeypatch):
    reads = []
    real = compare.Series.read
    monkeypatch.setattr(compare.Series, "read", lambda self: reads.append(1) or real(self))
    assert len(columns(two[0]).steps) == 0
    write(two[0], [{"step": 1, "time": 0.5, "loss": 2.0}, {"step": 2, "time": 1.0, "loss": None, "accuracy": 0.5}])
    first = columns(two[0])
    assert columns(two[0]) is first
    assert first.steps.tolist() == [1, 2]
    np.testing.assert_array_equal(first.numbers["loss"], [2.0, np.nan])
    np.testing.assert_array_equal(first.numbers["accuracy"], [np.nan, 0.5])
    write(two[0], [{"resume": 1}, {"step": 2, "time": 9.0, "loss": 1.0}], "a")
    assert columns(two[0]).seconds.tolist() == [0.5, 9.0]
    write(two[0], [{"step": 7, "time": 0.5, "loss": 2.0}])
    assert columns(two[0]).steps.tolist() == [7]
    assert len(reads) == 4


def series(steps, seconds, **numbers):
    return Columns(*(np.asarray(each, float) for each in (steps, seconds)),
                   {name: np.asarray(value, float) for name, value in numbers.items()})  # fmt: skip


def test_only_numbers_of_two_runs_are_shared():
    nan = float("nan")
    three = [series([1], [1], loss=[1], a=[1], b=[2]), series([1], [1], loss=[1], b=[nan]), series([1], [1], a=[3])]
    assert shared(three) == ["loss", "a"]


def test_curves_lie_along_steps_epochs_or_the_clock():
    one = series([10, 20, 30], [1.5, 3.0, 4.5], loss=[3, np.nan, 1])
    assert curve(one, "loss", "step").tolist() == [[10, 3], [30, 1]]
    assert curve(one, "loss", "epoch", 20.0).tolist() == [[0.5, 3], [1.5, 1]]
    assert curve(one, "loss", "wall clock").tolist() == [[1.5, 3], [4.5, 1]]
    assert curve(one, "nothing", "step").shape == (0, 2)
    with pytest.raises(ValueError, match="length of an epoch is not known"):
        curve(one, "loss", "epoch")
    assert clock([one]) == ("seconds", 1.0)
    assert clock([one, series([1], [7201])]) == ("hours", 3600.0)


def test_runs_of_other_batches_meet_at_the_same_epoch():
    def known(**values):
        return epoch_steps(Plan("x.y", values, {}, 0.0))

    assert known(data="garments", batch=100) == 100  # 10 000 pictures
    assert known(data="garments", batch=50, train_images=1000) == 20
    assert known(data="garments", batch=50, train_images=0) == 200
    assert known(data="garments") is None
    assert known(data="folder:/somewhere", batch=10) is None
    assert known(data="garments", batch=50, labelled=10) is None
    few, many = (series([steps], [1], loss=[1]) for steps in (20, 200))
    epochs = [curve(one, "loss", "epoch", known(data="garments", batch=batch, train_images=1000))[0, 0]
              for one, batch in ((few, 100), (many, 10))]  # fmt: skip
    assert epochs == [2.0, 2.0]


@pytest.mark.parametrize("window", [1, 2, 5, 17, 300])
def test_the_running_mean_is_the_mean_of_the_neighbours(window):
    values = np.random.default_rng(0).normal(size=60)
    reach = window // 2
    slow = [values[max(0, i - reach) : i + reach + 1].mean() for i in range(60)]
    np.testing.assert_allclose(running_mean(values, window), slow)
    np.testing.assert_allclose(running_mean(np.full(9, 2.5), window), 2.5)


def test_thinning_keeps_the_extremes_and_the_order():
    draw = np.random.default_rng(0)
    points = np.stack([np.arange(5000), draw.normal(size=5000)], 1)
    points[1234, 1], points[4321, 1] = 99, -99
    kept = thin(points, 100)
    assert len(kept) <= 100
    assert {99, -99} <= set(kept[:, 1])
    assert (np.diff(kept[:, 0]) > 0).all()


def test_the_raw_line_is_always_drawn_and_each_run_keeps_its_colour():
    wave = np.stack([np.arange(1000), np.sin(np.arange(1000))], 1)
    told = line(wave, 2, "c", 101, 400)
    assert len(told["at"]) == len(told["value"]) == len(told["mean"]) <= 400
    assert max(told["value"]) == pytest.approx(1, abs=1e-4)
    assert max(map(abs, told["mean"][40:-40])) < 0.05
    assert told["colour"] == line(wave[:20], 2, "c", 1)["colour"] != line(wave, 0, "a", 1)["colour"]
    assert "mean" not in line(wave[:19], 2, "c", 17)


def test_runs_beyond_the_colours_are_dashed():
    told = [line(np.ones((2, 2)), place, "x", 1) for place in range(20)]
    assert len({(one["colour"], one["dashed"]) for one in told[:16]}) == 16


def test_figures_tell_each_run_that_has_the_number_and_where_its_script_is(two):
    write(two[0], [{"step": 2, "time": 61, "loss": 1.0}, {"step": 1, "time": 30, "loss": 2.0}])
    write(two[1], [{"step": 1, "time": 241, "loss": 3.0, "other": 1.0}])
    overlaid = Overlaid(two, "wall clock")
    (figure,) = overlaid.figures(17)
    assert [one["at"] for one in figure["lines"]] == [[0.5, 1.0167], [4.0167]]  # minutes, in order
    assert overlaid.unit == ("minutes", 60.0)
    asked = Request({"type": "http", "query_string": figure["script"].partition("?")[2].encode(), "headers": []})
    code = send_script(asked).body.decode()
    assert "minutes" in code
    assert all(run.id[-11:] in code for run in two)


def test_what_is_the_same_throughout_is_told_and_not_drawn(two):
    for run in two:
        write(run, [{"step": step, "time": step, "loss": 1.0 / step, "pixels": 0.5} for step in (1, 2)])
    overlaid = Overlaid(two)
    assert overlaid.steady == {"pixels": 0.5}
    assert [one["says"] for one in overlaid.figures(17)] == ["loss"]
    write(two[1], [{"step": 3, "time": 3, "pixels": 0.6}], "a")
    assert Overlaid(two).steady == {}


@pytest.mark.parametrize(
    ("more", "said"), [("&number=loss&over=moon", "no axis 'moon'"), ("&number=loss", "none of these runs reported")]
)
def test_a_script_of_nothing_is_refused(two, more, said):
    query = f"runs={two[0].id},{two[1].id}{more}".encode()
    with pytest.raises(ValueError, match=said):
        send_script(Request({"type": "http", "query_string": query, "headers": []}))


def test_where_a_number_came_to():
    told = summary(np.array([[1, 5.0], [2, 1.0], [3, 7.0], [4, 2.0]]))
    assert vars(told) == {"last": 2.0, "lowest": 1.0, "lowest_at": 2, "highest": 7.0, "highest_at": 3}
    assert summary(np.empty((0, 2))) is None


def test_the_table_has_a_row_for_each_number_of_each_run(two):
    for run in two:
        write(run, [{"step": 1, "time": 0.1, "a": 4.0}, {"step": 2, "time": 0.2, "a": 3.0}])
    table = ends(Overlaid(two))
    assert table["run"] == labels(two)
    assert table["last"] == [3, 3]
    assert table["at step "] == [1, 1]


def test_each_run_shows_its_stored_step_nearest_to_the_slider():
    assert aligned([[10, 20, 30], [15]]) == [(10, [10, 15]), (15, [10, 15]), (20, [20, 15]), (30, [30, 15])]
    steps = [sorted(np.random.default_rng(i).choice(100, 9, replace=False).tolist()) for i in range(3)]
    for at, chosen in aligned(steps):
        for own, step in zip(steps, chosen, strict=True):
            assert all(abs(step - at) <= abs(other - at) for other in own)
