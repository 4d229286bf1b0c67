"""The pages of sweeps open, show how a sweep stands, and start, stop and resume one. No browser."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from app_pages import APP, opened, text

from engine.bench import Setup
from engine.catalog import method
from engine.folder import write_state
from lab import warm
from lab.parts.sweep_filters import passes
from lab.pictures import HEAT
from lab.runs.cells import cells
from lab.runs.run import plan as plan_run
from lab.runs.sweep import Sweep, all_sweeps, plan_sweep
from lab.sweep_plots import GREY, digits, goodness, heat_map, light, line, parallel, shade

ID = "fewshot.prototypical"


@pytest.fixture(scope="module", autouse=True)
def warmed():
    warm._importing().result()


@pytest.fixture
def sweep(monkeypatch, tmp_path):
    """make(grid): a sweep whose runs are planned, of which the first few are done."""
    monkeypatch.setenv("VISIONARIUM_HOME", str(tmp_path / "home"))

    def make(grid, done=2, seeds=1):
        kind = method(ID).params
        sweep = plan_sweep(ID, kind.make({}, "tiny"), Setup(device="cpu"), grid, seeds=seeds, name="my sweep")
        for number, id in enumerate(sweep.plan.runs):
            run = plan_run(ID, kind.make({}, "tiny"), Setup(), sweep.title(number), tmp_path / "home" / "runs" / id)
            if number < done:
                rows = [{"step": 1, "time": 1, "accuracy": 0.25}, {"step": 2, "time": 2, "accuracy": 0.5 + number / 10}]
                (run.folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            told = ("done", 2) if number < done else ("cancelled", 1)
            write_state(run.folder, told[0], step=told[1], steps=2)
        return sweep

    return make


@pytest.fixture
def apart(monkeypatch):
    """What would be made by another process."""
    asked = []
    monkeypatch.setattr(Sweep, "resume_apart", lambda sweep: asked.append(sweep.id))
    return asked


def labels(app):
    return [button.label for button in app.button]


def test_the_list_shows_sweeps_and_what_is_ready_to_start(sweep):
    sweep({"lr": (0.001, 0.01)})
    app = opened("sweeps")
    assert "my sweep" in text(app)
    assert "2 of 2 runs" in text(app)
    assert "RandAugment: N × M by size" in labels(app)
    app.button(key="choose-augmentation.randaugment-N × M by size").click().run()
    (command,) = [code.value for code in app.code]
    grid = "--grid n=1,2,3 m=3,9,15 width=8,24 train_images=500,4000"
    assert command == f"visionarium sweep augmentation.randaugment {grid}"
    assert [metric.value for metric in app.metric][:2] == ["36", "36"]
    assert "minutes" in app.metric[2].value


def test_the_form_says_what_cannot_be_and_starts_what_can(sweep, apart):
    app = opened("sweeps", method=ID)
    key = f"values-{ID}-demo--lr"
    app.text_input(key=key).set_value("0.001, much").run()
    assert "'much' is no number" in app.error[0].value
    assert "Start the sweep" not in labels(app)
    app.text_input(key=key).set_value("0.001, 99").run()
    assert "99.0 is out of range" in app.error[0].value
    assert "Start the sweep" not in labels(app)
    app.multiselect(key=f"varied-{ID}-demo-").set_value(["lr", "ways"]).run()
    app.text_input(key=key).set_value("1e-4..1e-2x3").run()
    app.text_input(key=f"values-{ID}-demo--ways").set_value("2,4").run()
    app.number_input(key=f"seeds-{ID}").set_value(2).run()
    command = f"visionarium sweep {ID} --grid lr=0.0001,0.001,0.01 ways=2,4 --seeds 2"
    assert [code.value for code in app.code] == [command]
    next(button for button in app.button if button.label == "Start the sweep").click().run()
    assert not app.exception
    (made,) = all_sweeps()
    assert apart == [made.id]
    assert made.plan.grid == {"lr": [0.0001, 0.001, 0.01], "ways": [2, 4]}
    assert (made.plan.seeds, len(made.plan.runs)) == (2, 12)


@pytest.mark.parametrize(
    ("grid", "charts"),
    [
        ({"lr": (0.001, 0.01, 0.1)}, 1),
        ({"distance": ("euclidean", "cosine")}, 1),
        ({"lr": (0.001, 0.01), "ways": (2, 3)}, 1),
        ({"lr": (0.001, 0.01), "ways": (2, 3), "shots": (1, 2)}, 2),
        ({"lr": (0.001, 0.01), "ways": (2, 3), "shots": (1, 2), "width": (4, 8)}, 2),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_sweep_is_shown_as_suits_its_knobs(sweep, grid, charts):
    app = opened("sweep", id=sweep(grid).id)
    assert app.title[0].value == "my sweep"
    assert len(app.get("vega_lite_chart")) == charts
    assert "2 of" in text(app)
    assert "Best" in text(app)
    assert "Open its run" in text(app)
    assert len(app.dataframe[0].value) == len(cells(Sweep(next(all_sweeps()).folder)))


def test_another_figure_and_the_best_value_are_compared_on_demand(sweep):
    app = opened("sweep", id=sweep({"lr": (0.001, 0.01)}).id)
    assert "**0.60**" in text(app)
    app.segmented_control(key="take").set_value("best").run()
    assert "**0.60**" in text(app)
    assert app.selectbox(key="figure").options == ["accuracy"]


def test_a_stopped_sweep_is_resumed_and_a_live_one_stopped(sweep, apart, monkeypatch):
    found = sweep({"lr": (0.001, 0.01)}, done=1)
    app = opened("sweep", id=found.id)
    assert "1 cancelled" in text(app)
    app.button(key=f"resume-{found.id}").click().run()
    assert apart == [found.id]
    monkeypatch.setattr(Sweep, "standing", "running")
    app = opened("sweep", id=found.id)
    app.button(key=f"stop-{found.id}").click().run()
    assert (found.folder / "control" / "cancel").exists()


def test_before_a_sweep_is_deleted_one_is_asked_and_told_what_hangs_on_it(sweep):
    found = sweep({"lr": (0.001, 0.01)})
    kind = method(ID).params
    plan_run(ID, kind.make({}, "tiny"), Setup(), "child", cloned_from=found.plan.runs[0])
    app = opened("sweep", id=found.id)
    app.button(key=f"delete-{found.id}").click().run()
    assert f"Run {found.plan.runs[0]} is needed" in app.warning[0].value
    assert found.id not in app.warning[0].value
    assert "All its 2 runs go with it" in text(app)
    assert "Delete all" in labels(app)
    assert all(found.runs)


def test_a_sweep_that_does_not_exist_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("VISIONARIUM_HOME", str(tmp_path / "home"))
    assert "is no sweep's id" in opened("sweep", id="../../etc").error[0].value
    assert "there is no sweep" in opened("sweep", id="20200101-000000-abcd").error[0].value


def test_a_map_has_every_cell_in_its_place_and_rings_the_best(sweep):
    found = sweep({"lr": (0.001, 0.01), "ways": (2, 3, 4)}, done=5)
    plot = heat_map(cells(found), found.plan.grid, "accuracy", True)
    places = list(zip(plot.rows["y"], plot.rows["x"], plot.rows["label"], plot.rows["best"], strict=True))
    assert places == [
        (0, 0, "0.50", False), (0, 1, "0.60", False), (0, 2, "0.70", False),
        (1, 0, "0.80", False), (1, 1, "0.90", True), (1, 2, "cancelled", False),
    ]  # fmt: skip
    assert plot.rows["fill"][5] is None
    assert plot.rows["knob lr"] == ["0.001"] * 3 + ["0.01"] * 3
    assert plot.rows["link"] == [f"/run?id={id}" for id in found.plan.runs]
    lowest = heat_map(cells(found), found.plan.grid, "accuracy", False)
    assert lowest.rows["best"] == [True] + [False] * 5
    assert plot.whole()["encoding"]["y"]["scale"]["domain"] == [2, 0]


def test_lines_join_means_and_show_runs(sweep):
    found = sweep({"lr": (0.001, 0.1)}, done=4, seeds=2)
    rows = line(cells(found), found.plan.grid, "accuracy", True).rows
    means = {at: mean for at, mean in zip(rows["at"], rows["mean"], strict=True) if mean is not None}
    assert means == {0.001: pytest.approx(0.6), 0.1: pytest.approx(0.7)}
    assert sorted(number for number in rows["figure"] if number is not None) == pytest.approx([0.5, 0.6, 0.7, 0.8])
    low = {at: low for at, low in zip(rows["at"], rows["low"], strict=True) if low is not None}
    assert low[0.001] == pytest.approx(0.6 - (0.02) ** 0.5)


def test_parallel_lines_pass_each_axis_where_its_value_is(sweep):
    found = sweep({"lr": (0.001, 0.01), "ways": (2, 3), "shots": (1, 2)}, done=8)
    rows = parallel(cells(found), found.plan.grid, "accuracy", True).rows
    whole = [dict(zip(rows, row, strict=True)) for row in zip(*rows.values(), strict=True)]
    for i, cell in enumerate(cells(found)):
        spots = {row["axis"]: row["at"] for row in whole if row["cell"] == i}
        assert spots["ways"] == [2, 3].index(cell.place["ways"])
        assert spots["accuracy"] == pytest.approx(i / 7)
    assert {row["cell"] for row in whole if row["best"]} == {7}


def test_cells_that_do_not_pass_are_grey_behind_the_others_and_never_the_best(sweep):
    found = cells(sweep({"lr": (0.001, 0.01), "ways": (2, 3), "shots": (1, 5)}, done=8))
    grid = {"lr": (0.001, 0.01), "ways": (2, 3), "shots": (1, 5)}
    kept = [passes(cell, {"lr": (0.001,), "ways": (2, 3)}, (0.5, 0.72)) for cell in found]
    assert kept == [True, True, True, False, False, False, False, False]
    rows = parallel(found, grid, "accuracy", True, kept=kept).rows
    lines = [i for i, kind in enumerate(rows["kind"]) if kind == "line"]
    assert {rows["cell"][i] for i in lines if rows["colour"][i] == GREY} == {3, 4, 5, 6, 7}
    assert {rows["cell"][i] for i in lines if rows["best"][i]} == {2}
    assert [rows["cell"][i] for i in lines][-1] in (0, 1, 2)


def test_a_sweep_of_three_knobs_is_filtered_on_its_page(sweep):
    found = sweep({"lr": (0.001, 0.01), "ways": (2, 3, 4), "shots": (1, 5)}, done=12)
    app = opened("sweep", id=found.id)
    assert "pass the filters" not in text(app)
    app.select_slider(key=f"only-{found.id}-ways").set_range(2, 3).run()
    assert "8 of 12 cells pass the filters" in text(app)
    app.slider(key=f"only-{found.id}-figure-accuracy").set_range(0.5, 0.75).run()
    assert "3 of 12 cells pass the filters" in text(app)


def test_colours_go_from_dark_to_bright_and_their_words_can_be_read():
    assert (shade(0), shade(1)) == ("#000004", "#fcffa4")
    assert [shade(i / (len(HEAT) - 1)) for i in range(len(HEAT))] == [
        "#{:02x}{:02x}{:02x}".format(*code) for code in HEAT
    ]
    assert not light(shade(0))
    assert light(shade(1))
    grey = [sum(w * int(shade(i / 20)[j : j + 2], 16) for w, j in ((0.3, 1), (0.6, 3), (0.1, 5))) for i in range(21)]
    assert grey == sorted(grey)


@pytest.mark.parametrize(
    ("numbers", "places"), [([0.81, 0.85], 3), ([0.1, 0.9], 2), ([100, 900], 0), ([0.5], 2), ([], 1), ([0.0], 1)]
)
def test_numbers_have_as_many_places_as_tell_them_apart(numbers, places):
    assert digits(numbers) == places


def test_the_best_is_bright_whichever_way_is_better(sweep):
    found = cells(sweep({"lr": (0.001, 0.01, 0.1)}, done=2))
    assert goodness(found, True) == [0.0, 1.0, None]
    assert goodness(found, False) == [1.0, 0.0, None]
    assert goodness(found[:1], False) == [1.0]


def test_the_list_and_a_sweep_cost_no_torch(sweep):
    id = sweep({"lr": (0.001, 0.01), "ways": (2, 3)}).id
    code = f"""
import sys
from streamlit.testing.v1 import AppTest
from lab import warm
warm.begin = lambda: None
warm.is_warm = lambda: False
app = AppTest.from_file({APP!r}, default_timeout=60).run()
for page, query in [("sweeps", {{}}), ("sweep", {{"id": {id!r}}})]:
    app.switch_page(f"../pages/{{page}}.py")
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    assert "torch" not in sys.modules, page
assert app.title[0].value == "my sweep"
"""
    here = os.environ | {"PYTHONPATH": str(Path(APP).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=here, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
