"""A check before a run and a clone after it: on the command line, on the page of the method, on the page of the run."""

import json
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.bench import Setup
from engine.catalog import method
from engine.folder import write_state
from engine.preflight import Preflight
from lab import cli, runs, warm
from lab.parts import preflight as part
from lab.parts.clone import differing
from lab.runs.preflight import Checking, clock, facts, span, verdict
from lab.runs.run import plan

APP = str(Path(__file__).resolve().parents[2] / "lab" / "app.py")
ID = "fewshot.prototypical"


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("VISIONARIUM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module", autouse=True)
def warmed():
    warm._importing().result()


@pytest.fixture
def source():
    return plan(ID, method(ID).params.make({"lr": 0.03}, "tiny"), Setup(seed=7, device="cpu"), "base")


@pytest.fixture
def planned(monkeypatch):
    """The runs that were begun; nothing computes."""
    begun = []

    def start(*what, **how):
        begun.append(plan(*what, **how))
        return begun[-1]

    monkeypatch.setattr(runs, "start", start)
    monkeypatch.setattr("lab.commands.train.start", start)
    return begun


def opened(page, **query):
    app = AppTest.from_file(APP, default_timeout=60).run()
    app.switch_page(f"../pages/{page}.py")
    for name, value in query.items():
        app.query_params[name.replace("__", ".")] = value
    app.run()
    assert not app.exception, app.exception[0].value
    return app


def words(app):
    kinds = (app.markdown, app.caption, app.error, app.code, app.page_link)
    return "\n".join(str(part.value) for kind in kinds for part in kind)


def button(app, label):
    return next(one for one in app.button if one.label == label)


def call(capsys, *line):
    code = cli.main(line)
    return code, *capsys.readouterr()


# The command line


@pytest.mark.slow
def test_a_check_says_what_a_run_needs_and_leaves_the_home_as_it_is(capsys, own_home):
    code, out, err = call(capsys, "train", ID, "--preset", "tiny", "--device", "cpu", "--check")
    assert (code, err) == (0, "")
    assert [line.split("  ")[0] for line in out.splitlines()] == [
        "memory", "first step", "one step", "evaluation", "ends", "it will run",
    ]  # fmt: skip
    assert [path for path in own_home.rglob("*") if path != own_home / "runs"] == []


@pytest.mark.slow
def test_a_check_of_what_would_fail_exits_with_2_for_people_and_programs(capsys, tmp_path):
    line = "train", ID, "--data", f"folder:{tmp_path / 'none'}", "--check"
    code, out, _ = call(capsys, *line)
    assert code == 2
    assert "does not exist" in out
    assert out.splitlines()[-1] == "it would fail"
    code, out, _ = call(capsys, *line, "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["says"]) == (2, False, "it would fail")


def test_json_without_a_check_is_refused(capsys):
    code, _, err = call(capsys, "train", ID, "--json")
    assert code == 2
    assert "--json goes with --check" in err


def test_a_run_is_trained_again_with_other_knobs(capsys, source, planned):
    code, out, err = call(capsys, "train", "--from", source.id, "--lr", "0.01", "--name", "two", "--detach")
    assert (code, err) == (0, "")
    (run,) = planned
    assert out.strip() == run.id
    assert (run.plan.cloned_from, run.plan.name, run.plan.method) == (source.id, "two", ID)
    assert run.plan.values == {**source.plan.values, "lr": 0.01}
    assert run.plan.setup == source.plan.setup


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (("--from", "20200101-000000-abcd"), "there is no run 20200101-000000-abcd"),
        (("--from", "last"), "there is no run yet"),
        ((), "name a METHOD"),
    ],
)
def test_a_source_that_cannot_be_is_said(capsys, line, says):
    code, _, err = call(capsys, "train", *line)
    assert code == 2
    assert says in err


# Words


def test_times_are_told_as_one_says_them():
    said = [span(seconds) for seconds in (0.0023, 0.41, 7.0, 48, 300, 12_000, 200_000)]
    assert said == ["2.3 ms", "0.41 s", "7 s", "48 s", "5 minutes", "3.3 hours", "2.3 days"]
    noon = time.mktime((2026, 11, 27, 12, 0, 0, 0, 0, -1))
    assert clock(noon + 3600, noon) == "13:00"
    assert clock(noon + 86_400, noon) == "12:00 on 28 November"


def test_what_was_not_measured_is_not_shown():
    assert facts(Preflight(), 0.0) == {}
    assert verdict(Preflight()) == "nothing speaks against it, but not one step was seen"
    found = Preflight(measured=3, seconds=48.0, step_seconds=0.1, problems=["no"])
    assert list(facts(found, 0.0)) == ["one step"], "what would fail does not end"
    assert verdict(found) == "it would fail"


def test_a_check_that_is_stopped_is_gone():
    checking = Checking(ID, method(ID).params.make({}), Setup(device="cpu"))
    assert checking.answer() is None
    checking.stop()
    assert checking._process.poll() is not None


# Pages


def test_a_clone_begins_with_the_knobs_of_the_run_and_shows_what_was_changed(source, planned):
    app = opened("method", id=ID, part="Train", clone=source.id)
    assert "Cloned from base" in words(app)
    assert "Nothing is changed yet" in words(app)
    assert app.number_input(key=f"clone-{source.id}.steps").value == source.plan.values["steps"]
    app.select_slider(key=f"clone-{source.id}.lr").set_value(0.01)
    app.number_input(key=f"setup-clone-{source.id}.seed").set_value(8)
    app.run()
    assert "**2 changes**" in words(app)
    assert "lr &nbsp; :gray[0.03 →] **0.01**" in words(app)
    assert "seed &nbsp; :gray[7 →] **8**" in words(app)
    assert f"visionarium train --from {source.id} --lr 0.01 --seed 8" in words(app)
    app.button(key=f"undo-setup-clone-{source.id}.seed").click().run()
    assert "**1 change**" in words(app)
    button(app, "Start training").click().run()
    (run,) = planned
    assert run.plan.cloned_from == source.id
    assert run.plan.values == {**source.plan.values, "lr": 0.01}
    assert run.plan.setup == source.plan.setup


def test_a_clone_may_begin_with_changes_that_are_taken_back_one_by_one(source):
    app = opened("method", id=ID, part="Train", clone=source.id, with__lr="0.004", with__ways="4")
    assert "**2 changes**" in words(app)
    assert "lr &nbsp; :gray[0.03 →] **0.004**" in words(app)
    undo = next(one for one in app.button if one.help == "Back to 0.03")
    undo.click().run()
    assert "**1 change**" in words(app)
    button(app, "Presets instead").click().run()
    assert "**1 change**" not in words(app)
    assert f"visionarium train {ID}" in [code.value for code in app.code]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"clone": "20200101-000000-abcd"}, "there is no run"),
        ({"clone": "../.."}, "is no run's id"),
        ({"with__lr": "much"}, "lr: 'much' does not fit"),
    ],
)
def test_a_clone_that_cannot_be_is_said_and_the_presets_stand(source, query, says):
    app = opened("method", id=ID, part="Train", **{"clone": source.id} | query)
    assert says in app.error[0].value
    assert f"visionarium train {ID}" in [code.value for code in app.code]


def test_a_run_of_another_method_is_not_cloned_here(source):
    app = opened("method", id="representation.mae", part="Train", clone=source.id)
    assert f"trains {ID}" in app.error[0].value


def test_a_run_with_knobs_that_are_no_more_is_refused_in_words(source):
    told = json.loads((source.folder / "run.json").read_text())
    told["values"]["gone"] = 1
    (source.folder / "run.json").write_text(json.dumps(told))
    app = opened("method", id=ID, part="Train", clone=source.id)
    assert "this version of the method has other knobs: gone" in app.error[0].value


def test_only_what_differs_is_a_change():
    params = method(ID).params
    assert differing(params.make({}), params.make({"ways": 4})) == [("ways", params.make({}).ways, 4)]


def test_a_failed_run_offers_the_clone_that_cures_it_and_shows_its_logs_end(source):
    write_state(source.folder, "failed", cause="OutOfMemoryError: no", hint="Batch 2 needs 9 MB.", instead={"ways": 2})
    (source.folder / "log.txt").write_text("".join(f"line {i}\n" for i in range(50)))
    app = opened("run", id=source.id)
    (box,) = app.error
    assert "Batch 2 needs 9 MB." in box.value
    assert {"Clone", "Clone with ways 2"} <= {link.value for link in app.page_link}
    assert "line 49" in app.code[0].value
    assert "line 37" not in app.code[0].value
    assert [one.label for one in app.button] == ["Resume"]


def test_a_clone_says_where_it_comes_from(source):
    run = plan(ID, method(ID).params.make({}, "tiny"), Setup(), cloned_from=source.id)
    assert "Cloned from another run" in {link.value for link in opened("run", id=run.id).page_link}
    assert "Cloned from another run" not in {link.value for link in opened("run", id=source.id).page_link}


class Told:
    """A check whose answer is there when it is asked the second time."""

    stopped = False

    def __init__(self, *_what):
        self.seconds, self.asked = 1.0, 0

    def answer(self):
        self.asked += 1
        return None if self.asked < 2 else FOUND[-1]

    def stop(self):
        Told.stopped = True


FOUND = []


def test_check_first_tells_without_holding_up_the_page(monkeypatch):
    monkeypatch.setattr(part, "Checking", Told)
    FOUND.append(Preflight(device="cpu", measured=9, peak_mb=300, room_mb=9000, step_seconds=0.1, seconds=48.0))
    app = opened("method", id=ID, part="Train")
    button(app, "Check first").click().run()
    assert "Doing a few real steps" in words(app)
    assert not button(app, "Start training").disabled
    app.run()
    app.run()
    assert "It will run." in words(app)
    assert "300 MB of 9,000 MB (cpu)" in words(app)
    assert "(in 48 s)" in words(app)
    app.slider(key=f"{ID}-demo.ways").set_value(7).run()
    assert "changed since this check" in words(app)


def test_a_check_that_found_a_problem_sets_the_knob_that_cures_it(monkeypatch):
    monkeypatch.setattr(part, "Checking", Told)
    FOUND.append(Preflight(problems=["out of memory. Batch 2 needs 9 MB"], instead={"ways": 3}))
    app = opened("method", id=ID, part="Train")
    button(app, "Check first").click().run()
    app.run()
    app.run()
    assert "Out of memory. Batch 2 needs 9 MB." in app.error[0].value
    button(app, "Set ways to 3").click().run()
    assert app.slider(key=f"{ID}-demo.ways").value == 3


def test_a_check_may_be_stopped(monkeypatch):
    monkeypatch.setattr(Told, "answer", lambda self: None)
    monkeypatch.setattr(part, "Checking", Told)
    app = opened("method", id=ID, part="Train")
    button(app, "Check first").click().run()
    button(app, "Stop").click().run()
    assert Told.stopped
    assert "Doing a few real steps" not in words(app)
