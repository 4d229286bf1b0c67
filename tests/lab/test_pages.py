"""Every page opens, shows what it promises, and says in words what it cannot show. No browser."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from app_pages import APP, opened, text
from streamlit.testing.v1 import AppTest

from engine import catalog
from engine.bench import Setup
from engine.catalog import method
from engine.folder import wish, wishes, write_state
from engine.method import Curves
from engine.showcase import folder
from lab import warm
from lab.home import login_name
from lab.parts import timemachine
from lab.runs import line
from lab.runs import state as states
from lab.runs.run import plan

PAGES = "../pages/"
ALL = pytest.mark.parametrize("id", catalog.ids())


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("VISIONARIUM_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module", autouse=True)
def warmed():
    warm._importing().result()


def test_home_has_three_doors_and_names_the_machine():
    app = opened()
    assert [part.value for part in app.subheader[:3]] == ["Teach", "Explore", "Debug"]
    assert "memory" in text(app)


def test_the_catalogue_lists_all_methods_and_its_filters_narrow_it():
    app = opened("methods")
    titles = [catalog.card(id).title for id in catalog.ids()]
    assert all(title in text(app) for title in titles)
    app.text_input(key="q").set_value("nothing is called this").run()
    assert "No method fits" in text(app)
    one = catalog.card(catalog.ids()[0])
    app.text_input(key="q").set_value(one.title.lower()).run()
    assert one.title in text(app)
    assert sum(title in text(app) for title in titles) < len(titles)


@ALL
def test_a_method_page_tells_the_idea(id):
    app = opened("method", id=id, part="Idea")
    card = catalog.card(id)
    assert [title.value for title in app.title] == [card.title]
    assert "yield" in app.code[0].value
    assert all(meaning in text(app) for _, meaning in card.terms)


@ALL
def test_a_method_page_shows_its_stored_answers_before_any_model_is_open(id, monkeypatch):
    monkeypatch.setattr(warm, "ready", lambda target: None)
    app = opened("method", id=id)
    shipped = list(folder(id).glob("*.safetensors"))
    assert ("stored answer" in text(app)) == (len(shipped) > 1)
    assert "Not shown" not in text(app)


@ALL
def test_a_method_page_has_its_form_and_its_command(id):
    app = opened("method", id=id, part="Train")
    assert f"visionarium train {id}" in [code.value for code in app.code]
    assert [button.label for button in app.button].count("Start training") == 1


@ALL
def test_a_method_page_shows_its_receipt_or_how_to_measure_it(id):
    app = opened("method", id=id, part="Receipt")
    assert any(f"--measure {id}" in code.value for code in app.code)


def test_a_method_that_does_not_exist_is_named_with_its_neighbours():
    app = opened("method", id="representation.meo")
    assert "there is no method 'representation.meo'" in app.error[0].value.lower()


@pytest.fixture
def run():
    id = "fewshot.prototypical"
    return plan(id, method(id).params.make({}, "tiny"), Setup.make({"device": "cpu"}, "tiny"), "my run")


@pytest.fixture
def finished(run):
    from engine.run import run as carry_out

    assert carry_out(run.folder) == "done"
    return run


def test_a_finished_run_shows_curves_settings_and_log(finished):
    app = opened("run", id=finished.id)
    assert app.title[0].value == "my run"
    assert finished.id in text(app)
    assert "step 3 of 3" in text(app)
    app = opened("run", id=finished.id, part="Settings")
    assert "--preset" in app.code[0].value or "--steps" in app.code[0].value
    assert {"code", "seed", "packages"} <= set(app.table[0].value.index)
    assert [button.proto.label for button in app.get("download_button")] == ["Script", "Notebook"]
    assert app.get("link_button")[0].proto.url == f"/api/runs/{finished.id}/archive"
    opened("run", id=finished.id, part="Log")


def test_what_changed_at_a_resume_is_shown(finished):
    told = json.loads((finished.folder / "provenance.json").read_text())
    changes = [{"step": 2, "what": "packages torch", "was": "[1.0](x)", "now": "2.0"}]
    (finished.folder / "provenance.json").write_text(json.dumps(told | {"changes": changes}))
    (said,) = opened("run", id=finished.id, part="Settings").warning
    assert "at step 2, packages torch\\: \\[1.0\\]\\(x\\) → 2.0" in said.value


def test_a_run_of_an_earlier_version_without_provenance_says_so(finished):
    (finished.folder / "provenance.json").unlink()
    assert "this run kept none" in opened("run", id=finished.id, part="Settings").table[0].value.to_string()


def test_housekeeping_tells_what_runs_take_and_asks_before_it_deletes(finished):
    app = AppTest.from_file(APP, default_timeout=60).run()
    app.session_state["housekeeping"] = True
    app.switch_page(f"{PAGES}runs.py").run()
    assert not app.exception
    assert "1 run takes" in text(app)
    app.button(key=f"delete-{finished.id}").click().run()
    assert "gone for good" in text(app)
    assert finished.folder.exists()


@pytest.fixture
def scrubbed(monkeypatch):
    """What the time machines of a page are given."""
    given = []
    scrub = timemachine.scrub

    def noted(frames, **more):
        given.append((frames, more))
        return scrub(frames, **more)

    monkeypatch.setattr(timemachine, "scrub", noted)
    return given


def test_a_run_has_a_time_machine_over_its_stored_steps(finished, scrubbed):
    app = opened("run", id=finished.id)
    frames, more = scrubbed[-1]
    steps = [step for step, _ in finished.media()]
    assert more["steps"] == steps
    assert [label for label, _ in frames] == [f"step {step}" for step in steps]
    assert all(f"/{step}?dark=" in address for (_, addresses), step in zip(frames, steps, strict=True)
               for address in addresses)  # fmt: skip
    curves = [one for one in method(finished.plan.method).exhibits if isinstance(one, Curves)]
    assert [one["says"] for one in more["curves"]] == [one.says for one in curves]
    assert more["newest"] == 3
    assert more["map"]["url"].startswith(f"/api/runs/{finished.id}/map?stamp=")
    assert "Film (GIF)" in [button.label for button in app.get("download_button")]


def test_a_run_that_lives_tells_its_pace_and_takes_wishes(finished):
    run = finished
    (run.folder / "log.txt").write_text("the end of the log\n")
    write_state(run.folder, "running", step=2, steps=3, device="cpu", peak_mb=700)
    code = f"""
import time
from pathlib import Path
from engine.lock import RUN, Lock
Lock(Path({str(run.folder / "live.lock")!r}), RUN).take()
print("held", flush=True)
time.sleep(600)
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        app = opened("run", id=run.id)
        assert "ms a step" in text(app) or "s a step" in text(app)
        assert "left" in text(app)
        assert "the end of the log" in text(app)
        assert "cpu, 700 MB" in text(app)
        assert [button.label for button in app.button] == ["Pause", "Cancel", "Save now", "Sample now"]
        app.button(key=f"Save now-{run.id}").click().run()
        assert "save" in wishes(run.folder)
    finally:
        holder.kill()
        holder.wait()


def test_a_finished_run_is_looked_through(finished):
    opened("run", id=finished.id, part="Look")
    warm._pool.submit(int).result()
    app = opened("run", id=finished.id, part="Look")
    assert "live" in text(app)
    assert f"visionarium look {finished.id}" in "\n".join(code.value for code in app.code)


def test_a_run_that_does_not_exist_is_said():
    assert "no run" in opened("run", id="../../etc").error[0].value
    assert "no run" in opened("run", id="20200101-000000-abcd").error[0].value


def test_runs_are_listed(finished):
    plan(finished.plan.method, method(finished.plan.method).params.make({"ways": 4}, "tiny"), Setup(), "other")
    app = opened("runs")
    assert {"my run", "other"} <= {link.value for link in app.page_link}


def test_waiting_runs_are_shown_in_their_order_and_moved_held_and_hurried(home, monkeypatch):
    made = method("fewshot.prototypical").params.make({}, "tiny")
    runs = [
        plan("fewshot.prototypical", made, Setup(device="cpu"), f"number {i}", visitor="ab"[i == 2]) for i in range(3)
    ]
    monkeypatch.setattr(line, "lives", lambda folder: True)
    for run in runs:
        line.Waiter(run.folder, run.plan)
    app = opened("runs")

    def shown():
        return [int(link.value.removeprefix("number ")) for link in app.page_link if link.value.startswith("number")]

    assert shown() == [0, 2, 1], "the visitors take turns"
    assert "Waiting for the processor" in text(app)
    app.button(key=f"arrow_upward-{runs[1].id}").click().run()
    assert shown() == [1, 2, 0]
    app.button(key=f"front_hand-{runs[2].id}").click().run()
    assert shown() == [1, 0, 2]
    assert app.button(key=f"arrow_upward-{runs[2].id}").disabled
    app.button(key=f"undo-{runs[2].id}").click().run()
    assert shown() == [1, 2, 0]
    app.button(key=f"play_arrow-{runs[0].id}").click().run()
    app.button(key="now-free").click().run()
    assert shown() == [0, 1, 2]


@pytest.mark.parametrize("address", [None, "10.0.0.7"])
def test_a_run_started_on_a_page_is_its_visitors(monkeypatch, address):
    asked = []

    def refuse(*_what, visitor, **_more):
        asked.append(visitor)
        raise ValueError("not in a test")

    monkeypatch.setattr("lab.runs.start", refuse)
    monkeypatch.setattr("streamlit.runtime.context.ContextProxy.ip_address", address)
    app = opened("method", id="fewshot.prototypical", part="Train")
    next(button for button in app.button if button.label == "Start training").click().run()
    assert asked == [address or login_name()], "on this machine it is who runs the server, as on the command line"
    assert "not in a test" in app.error[0].value


def test_an_ending_run_says_what_is_waited_for(run, monkeypatch):
    monkeypatch.setattr(states, "holder", lambda path: 1)
    write_state(run.folder, "running", step=7, steps=9)
    wish(run.folder, "cancel")
    assert "SIGTERM follows in" in text(opened("runs"))
    assert "SIGTERM follows in" in text(opened("run", id=run.id))


def test_a_run_of_several_ranks_says_so(home):
    id = "representation.simclr"
    setup = Setup.make({"device": "cpu", "ranks": 2}, "tiny")
    run = plan(id, method(id).params.make({}, "tiny"), setup)
    write_state(run.folder, "paused", step=2, steps=3, device="cpu", peak_mb=400)
    app = opened("run", id=run.id)
    assert "2 ranks" in text(app)
    assert "cpu, 400 MB (rank 0)" in text(app)


def test_a_failed_run_shows_cause_and_hint(run):
    write_state(run.folder, "failed", cause="FloatingPointError: loss became nan at step 7", hint="Lower the rate.")
    app = opened("run", id=run.id)
    assert "Lower the rate" in app.error[0].value
    assert [button.label for button in app.button] == ["Resume"]


def test_a_checkpoint_that_cannot_be_opened_is_refused_in_words(tmp_path):
    app = opened("checkpoint", path=str(tmp_path / "none.safetensors"))
    warm._pool.submit(int).result()
    app.run()
    assert "is no run, no checkpoint file and no method" in app.error[0].value


def test_weights_that_others_released_are_offered_with_the_lenses_that_they_have(tmp_path):
    from engine.nets.released_vit import ReleasedViT

    made = ReleasedViT(3, 32, 8, 64, 1)
    made.pos_embed.normal_(std=0.02)
    torch.save(made.state_dict(), tmp_path / "vit.pth")
    app = opened("checkpoint", path=str(tmp_path / "vit.pth"))
    warm._pool.submit(int).result()
    app.run()
    assert not app.error
    assert "to sum up a picture" in text(app)
    assert all("Neighbours" not in group.options for group in app.get("button_group"))


def test_data_is_browsed_and_checked(tmp_path):
    app = opened("data", source="garments")
    assert "10,000 images" in text(app)
    (tmp_path / "broken" / "a").mkdir(parents=True)
    (tmp_path / "broken" / "a" / "x.jpg").write_bytes(b"no picture")
    app = opened("data", part="Check your own", data=str(tmp_path / "broken"), kind="folder")
    assert "would stop a run" in text(app)
    assert "x.jpg" in app.dataframe[0].value["where"][0]


def test_lists_and_stored_answers_cost_no_torch(tmp_path):
    code = f"""
import sys
from streamlit.testing.v1 import AppTest
from lab import warm
warm.begin = lambda: None
warm.is_warm = lambda: False
app = AppTest.from_file({APP!r}, default_timeout=60).run()
parts = [("method", {{"id": {catalog.ids()[0]!r}, "part": part}}) for part in ("Play", "Idea", "Receipt")]
for page, query in [("methods", {{}}), ("runs", {{}}), ("compare", {{}}), ("data", {{}}), ("checkpoint", {{}}), *parts]:
    app.switch_page(f"../pages/{{page}}.py")
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    assert "torch" not in sys.modules, page
"""
    home = {"VISIONARIUM_HOME": str(tmp_path), "PYTHONPATH": str(Path(APP).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
