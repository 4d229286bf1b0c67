"""A run over time: the map and its routes, what the browser is told of curves, the film, the command."""

import base64
import io
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from engine.bench import Setup
from engine.catalog import method
from engine.method import Curves
from engine.record import probes, write_probe
from engine.run import run as carry_out
from lab import api, cli, timeline, warm
from lab.film import film, frames_of
from lab.parts.progress import pace, spoken_pace, time_left
from lab.parts.timemachine import curve
from lab.runs.run import plan

ID = "fewshot.prototypical"


@pytest.fixture(scope="module", autouse=True)
def warmed():
    warm._importing().result()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISIONARIUM_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr("engine.probe.GRACE", 1e6)  # however slow the machine is, every image is embedded
        run = plan(ID, method(ID).params.make({"steps": 40}, "tiny"), Setup.make({"device": "cpu", "looks": 8}, "tiny"))
        assert carry_out(run.folder) == "done"
        yield run


def ask(path):
    return TestClient(Starlette(routes=api.ROUTES), base_url="http://localhost").get(path)


def test_the_map_is_sent_once_for_all_steps(finished):
    course = timeline.course_of(finished.folder)
    answer = ask(f"/api/runs/{finished.id}/map?stamp={timeline.stamp(finished.folder)}")
    assert "immutable" in answer.headers["cache-control"]
    told = answer.json()
    assert told["steps"] == [5, 10, 15, 20, 25, 30, 35, 40] == timeline.stops(finished)
    whole = np.frombuffer(base64.b64decode(told["places"]), "<i2").reshape(8, -1, 2)
    assert whole.shape[1] == len(told["labels"]) == max(told["images"])
    there, scale = ~np.isnan(course.places), course.reach / timeline.FULL
    inside = there & (np.abs(course.places) < course.reach)
    np.testing.assert_allclose(whole[inside] * scale, course.places[inside], atol=scale)
    assert (np.abs(whole[there & ~inside]) == timeline.FULL).all()
    assert (whole[~there] == timeline.ABSENT).all()
    assert inside.sum() > 0.98 * there.sum()
    assert {str(label) for label in told["labels"]} == set(told["names"]) == set(told["colours"])
    assert len(answer.content) < 100_000


def test_thumbnails_are_one_picture_in_the_order_of_the_points(finished):
    answer = ask(f"/api/runs/{finished.id}/thumbnails")
    sheet = Image.open(io.BytesIO(answer.content))
    pinned = timeline.map_at(finished, 40)["thumbnails"]
    across = int(np.ceil(np.sqrt(len(pinned))))
    assert sheet.size == (across * pinned.shape[-1],) * 2
    side, point = pinned.shape[-1], across + 3
    cut = np.asarray(sheet)[side : 2 * side, 3 * side : 4 * side].mean()
    assert cut == pytest.approx(pinned[point].mean(), abs=3)


def test_between_two_probes_points_are_on_a_straight_way(finished):
    course = timeline.course_of(finished.folder)
    here, there = course.at(5), course.at(10)
    both = ~np.isnan(here + there)
    np.testing.assert_allclose(course.at(7.5)[both], ((here + there) / 2)[both])
    np.testing.assert_array_equal(course.at(0), here)
    np.testing.assert_array_equal(course.at(999), course.at(40))


def test_a_probe_without_points_is_counted_and_passed_over(finished, tmp_path):
    write_probe(finished.folder, 12, np.empty((0, 0), np.float16), {"images": 0, "of": 9, "seconds": 0})
    try:
        course = timeline.course_of(finished.folder)
        assert 12 not in course.steps
        assert timeline.told(course)["skipped"] == 1
    finally:
        dict(probes(finished.folder))[12].unlink()


def test_of_very_many_probes_some_are_taken_the_ends_among_them(finished, monkeypatch):
    monkeypatch.setattr(timeline, "STEPS", 3)
    timeline._course.cache_clear()
    steps = timeline.course_of(finished.folder).steps
    timeline._course.cache_clear()
    assert (len(steps), steps[0], steps[-1]) == (3, 5, 40)


@pytest.mark.parametrize("place", ["map", "0", "1"])
def test_each_figure_can_be_had_as_a_script(finished, place):
    answer = ask(f"/api/runs/{finished.id}/script/{place}/20")
    assert answer.status_code == 200
    assert f'-{finished.id}-20.py"' in answer.headers["content-disposition"]
    compile(answer.content, "again.py", "exec")


def test_what_is_not_there_is_said(finished):
    assert ask("/api/runs/20200101-000000-abcd/map").json()["error"].startswith("there is no run")
    assert ask(f"/api/runs/{finished.id}/script/99/20").status_code == 404
    assert ask("/api/runs/..%2fetc/thumbnails").status_code == 404
    other = plan(ID, method(ID).params.make({}, "tiny"), Setup())
    assert ask(f"/api/runs/{other.id}/map").json()["error"] == f"run {other.id} has no map"
    with pytest.raises(ValueError, match="has no map yet"):
        timeline.map_at(other, 3)
    with pytest.raises(ValueError, match="0 stored steps, and a film needs two"):
        film(other)


def test_a_curve_keeps_its_spikes_and_its_ends():
    steps = np.arange(1.0, 50_001)
    values = np.sin(steps / 3000)
    values[31_337] = 77
    line = curve(Curves(("loss",), "It falls."), {"loss": np.stack([steps, values], 1)})["lines"][0]
    assert len(line["at"]) <= 400
    assert max(line["value"]) == 77
    assert line["at"] == sorted(line["at"])
    assert len(line["mean"]) == len(line["value"])
    whole = curve(Curves(("loss", "test_loss"), ""), {"loss": np.stack([steps, values], 1)})["lines"]
    assert [one["name"] for one in whole] == ["loss"], "what no evaluation has reported yet is left out"
    short = curve(Curves(("loss",), ""), {"loss": np.array([[1, 2.0], [2, np.nan], [3, 1.123456789]])})["lines"][0]
    assert short == {"name": "loss", "colour": short["colour"], "at": [1, 3], "value": [2.0, 1.1235]}


@pytest.mark.parametrize("kind", ["gif", "webp", "png"])
def test_a_film_has_a_frame_for_each_step_and_those_on_the_way(finished, kind):
    shown = Image.open(io.BytesIO(film(finished, kind)))
    assert shown.n_frames == 7 * 6 + 1
    assert shown.width == 1240


def test_points_and_cursor_move_from_frame_to_frame(finished):
    frames = [np.asarray(frame).astype(int) for frame in frames_of(finished, method(ID).exhibits)]
    left, right = slice(0, 560), slice(580, None)
    for before, after in itertools.pairwise(frames):
        assert (before[:, left] != after[:, left]).any()
        assert (before[:, right] != after[:, right]).any()


def test_the_command_writes_a_film_or_says_what_to_do(finished, tmp_path, capsys):
    assert cli.main(["runs", "film", str(finished.folder), "--out", str(tmp_path / "run.webp")]) == 0
    assert Image.open(tmp_path / "run.webp").n_frames == 43
    assert cli.main(["runs", "film", str(finished.folder), "--out", str(tmp_path / "run.mp4")]) == 2
    assert "end it in .gif, .webp or .png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.0123, "12.3 ms a step"), (2.04, "2.0 s a step"), (0.5, "500 ms a step")]
)
def test_the_pace_in_words(seconds, said):
    assert spoken_pace(seconds) == said


def test_the_pace_is_that_of_the_last_hundred_rows():
    rows = [{"step": step, "time": 0.1 * step if step < 50 else 5 + 2.0 * (step - 50)} for step in range(200)]
    assert pace(rows) == pytest.approx(2.0)
    assert pace(rows[:1]) == 0
    assert time_left(90) == "about 90 seconds left"
    assert time_left(7200) == "about 2 hours left"


def test_the_map_needs_no_torch(finished, tmp_path):
    code = f"""
import sys
from pathlib import Path
from lab import timeline
assert timeline.course_of(Path({str(finished.folder)!r})).steps[-1] == 40
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1000:]
    assert json.dumps(timeline.told(timeline.course_of(finished.folder)))
