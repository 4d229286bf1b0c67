"""The page of runs: what is chosen stays chosen, what is sought is found, and a method that is gone is no fault."""

import json

import pytest
from app_pages import opened, text

from engine.bench import Setup
from engine.catalog import method
from engine.folder import wishes, write_state
from lab import warm
from lab.parts.visitor import TRUST
from lab.runs import line
from lab.runs import state as states
from lab.runs.run import plan
from lab.runs.sweep import plan_sweep

ID = "fewshot.prototypical"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("VISIONARIUM_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module", autouse=True)
def warmed():
    warm._importing().result()


def ended(name, state="cancelled"):
    run = plan(ID, method(ID).params.make({}, "tiny"), Setup(device="cpu"), name)
    rows = [{"step": step, "time": step, "loss": 1 / step} for step in (1, 2)]
    (run.folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_state(run.folder, state, step=1, steps=3)
    return run


def button(app, label):
    return next(one for one in app.button if one.label == label)


def test_what_is_chosen_outlives_paging_and_searching_until_it_is_cleared():
    runs = [ended(f"number {i:02d}") for i in range(17)]  # the newest first: 16 to 02, then 01 and 00
    app = opened("runs")
    assert "selected" not in text(app)
    app.checkbox(key=f"chosen-{runs[16].id}").check().run()
    app.session_state["runs-page"] = 2
    app.run()
    assert f"chosen-{runs[16].id}" not in {box.key for box in app.checkbox}
    app.checkbox(key=f"chosen-{runs[0].id}").check().run()
    assert "2 selected" in text(app)
    assert not button(app, "Compare").disabled
    app.text_input(key="find").set_value("number 05").run()
    assert [link.value for link in app.page_link if link.value.startswith("number")] == ["number 05"]
    app.checkbox(key=f"chosen-{runs[5].id}").check().run()
    app.text_input(key="find").set_value("").run()
    assert "3 selected" in text(app)
    assert app.checkbox(key=f"chosen-{runs[5].id}").value
    button(app, "Clear").click().run()
    assert "selected" not in text(app)
    assert not any(box.value for box in app.checkbox)


def test_runs_are_found_by_name_method_and_state():
    ended("red"), ended("blue", "failed")
    app = opened("runs")
    for words, names in {"RED": {"red"}, "failed proto": {"blue"}, "fewshot": {"red", "blue"}, "green": set()}.items():
        app.text_input(key="find").set_value(words).run()
        assert {link.value for link in app.page_link} & {"red", "blue"} == names
    assert "No run fits" in text(app)


def waiting(visitor):
    run = plan(ID, method(ID).params.make({}, "tiny"), Setup(device="cpu"), f"of {visitor}", visitor=visitor)
    line.Waiter(run.folder, run.plan)
    return run


def verbs(app, run):
    """Which of a waiting run's signs can be pressed."""
    return {one.key.removesuffix(f"-{run.id}") for one in app.button if run.id in str(one.key) and not one.disabled}


def test_a_visitor_changes_only_what_they_started_and_is_told_so(monkeypatch):
    monkeypatch.setattr(line, "lives", lambda folder: True)
    monkeypatch.setattr(states, "holder", lambda path: 1)
    mine, also, other = waiting("10.0.0.7"), waiting("10.0.0.7"), waiting("10.0.0.8")
    ended_one = ended("of nobody")
    monkeypatch.setattr("streamlit.runtime.context.ContextProxy.ip_address", "10.0.0.7")
    app = opened("runs")
    assert "You may change the runs that you started, as 10.0.0.7" in text(app)
    assert verbs(app, mine) == {"arrow_downward", "front_hand"}, "nobody jumps over the turns of others"
    assert verbs(app, also) == {"arrow_upward", "vertical_align_top", "front_hand"}
    assert verbs(app, other) == set()
    app.checkbox(key=f"chosen-{other.id}").check().run()
    assert button(app, "Cancel").disabled
    assert "It is 10.0.0.8's" in button(app, "Cancel").help
    app.checkbox(key=f"chosen-{mine.id}").check().run()
    button(app, "Cancel").click().run()
    assert "cancel" in wishes(mine.folder)
    assert "cancel" not in wishes(other.folder)
    assert "It is 10.0.0.8's" in text(opened("run", id=other.id))
    assert "Cancel" not in {one.label for one in opened("run", id=other.id).button}
    assert "Resume" not in {one.label for one in opened("run", id=ended_one.id).button}


@pytest.mark.parametrize(("address", "trusting"), [(None, ""), ("10.0.0.7", "1")])
def test_whoever_sits_at_the_machine_or_is_trusted_changes_all(monkeypatch, address, trusting):
    monkeypatch.setattr(line, "lives", lambda folder: True)
    other = waiting("10.0.0.8")
    monkeypatch.setattr("streamlit.runtime.context.ContextProxy.ip_address", address)
    monkeypatch.setenv(TRUST, trusting)
    app = opened("runs")
    assert "You may change" not in text(app)
    assert verbs(app, other) == {"front_hand", "play_arrow"}


@pytest.fixture
def orphan():
    """A run of a method that is not installed here."""
    run = ended("left behind")
    told = json.loads((run.folder / "run.json").read_text())
    (run.folder / "run.json").write_text(json.dumps(told | {"method": "gone.away", "name": ""}))
    (run.folder / "log.txt").write_text("the last words\n")
    return run


def test_a_run_whose_method_is_not_installed_is_listed_and_says_so(orphan):
    app = opened("runs")
    assert "gone.away, not installed" in text(app)
    assert "gone.away" in {link.value for link in opened().page_link}
    assert "gone.away" in {link.value for link in opened("runs").page_link}


@pytest.mark.parametrize("part", ["Course", "Look", "Settings", "Log"])
def test_its_page_shows_its_log_and_files_and_says_in_a_sentence_what_is_missing(orphan, part):
    app = opened("run", id=orphan.id, part=part)
    assert ("The method gone.away is not installed here" in text(app)) == (part != "Log")
    if part == "Log":
        assert "the last words" in app.code[0].value
        assert {"run.json", "metrics.jsonl", "log.txt"} <= set(app.dataframe[0].value["file"])


@pytest.mark.parametrize("part", ["Curves", "Pictures", "Answers", "Settings"])
def test_it_may_be_compared(orphan, part):
    app = opened("compare", runs=f"{orphan.id},{ended('another').id}", part=part)
    assert "gone.away" in text(app)


def test_its_sweep_opens():
    sweep = plan_sweep(ID, method(ID).params.make({}, "tiny"), Setup(device="cpu"), {"lr": (0.001, 0.01)})
    told = json.loads((sweep.folder / "sweep.json").read_text())
    (sweep.folder / "sweep.json").write_text(json.dumps(told | {"method": "gone.away"}))
    assert "gone.away" in text(opened("sweeps"))
    assert "gone.away" in [title.value for title in opened("sweep", id=sweep.id).title]
