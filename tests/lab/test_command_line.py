"""The command line: exit codes, sentences, tables. Runs that train from here are marked slow."""

import json
import subprocess
import sys

import pytest

from engine import catalog
from engine.bench import Setup
from engine.folder import write_state
from engine.showcase import slug
from lab import cli
from lab.runs import line
from lab.runs.executors import Local
from lab.runs.run import Run, plan
from lab.runs.sweep import find_sweep


@pytest.fixture(autouse=True)
def only_the_toy(home, monkeypatch):
    """The catalogue holds only the method of the tests, whatever else is installed."""
    monkeypatch.setattr(catalog, "WINGS", dict.fromkeys(catalog.WINGS, ()))


@pytest.fixture
def call(capsys):
    def run(*words):
        try:
            code = cli.main(words)
        except SystemExit as stopped:
            code = stopped.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def done():
    run = plan("toy.patience", catalog.method("toy.patience").params.make({}), Setup(), "a name")
    write_state(run.folder, "done", step=5, steps=5)
    (run.folder / "metrics.jsonl").write_text('{"step": 5, "time": 0.5, "loss": 0.25}\n')
    return run


COMMANDS = [
    (), ("app",), ("methods",), ("train",), ("runs",), ("runs", "list"), ("runs", "show"), ("runs", "cancel"),
    ("runs", "pause"), ("runs", "resume"), ("runs", "delete"), ("runs", "queue"), ("runs", "move"), ("runs", "hold"),
    ("runs", "release"), ("runs", "now"), ("runs", "limit"), ("runs", "disk"), ("runs", "thin"), ("runs", "import"),
    ("export",), ("look",), ("data",), ("data", "list"),
    ("data", "check"), ("receipts",), ("assets",), ("assets", "build"), ("assets", "check"), ("bench",),
    ("sweep",), ("sweep", "list"), ("sweep", "show"), ("sweep", "stop"), ("sweep", "resume"), ("sweep", "delete"),
    ("sweep", "keep"),
]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(call, words):
    code, out, err = call(*words, "--help")
    assert (code, err) == (0, "")
    assert out.startswith("usage: visionarium")


def test_help_lists_and_states_load_nothing_heavy(home):
    code = "import sys; from lab.cli import main; main(['runs', 'list']); main(['methods', '--wing', 'video']); "
    code += "print(sorted({'torch', 'tyro', 'streamlit', 'PIL', 'sklearn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("train", "toy.patienc"), "did you mean toy.patience"),
        (("train", "toy.patience", "--steps", "0"), "steps: 0 is out of range; allowed is 1 to 1000000"),
        (("train", "toy.patience", "--lr", "much"), "could not convert string to float"),
        (("train", "toy.patience", "--stepz", "3"), "--steps"),
        (("train", "toy.patience", "--preset", "huge"), "choose tiny, demo, paper"),
        (("train", "toy.patience", "--data", "garmets"), "use garments"),
        (("train", "toy.patience", "--name", "two\nlines"), "printable"),
        (("train",), "METHOD"),
        (("runs", "show", "last"), "there is no run yet"),
        (("runs", "cancel", "../.."), "is no run's id"),
        (("runs", "resume", "20261122-171233-4f2a"), "there is no run 20261122-171233-4f2a"),
        (("runs", "move", "last", "sideways"), "invalid choice: 'sideways' (choose from"),
        (("runs", "limit", "cpu", "many"), "'many' is no number of runs; give a number, or none"),
        (("runs", "limit", "cpu", "0"), "0 runs of one visitor at once cannot be"),
        (("runs", "import", "no.zip"), "there is no file no.zip"),
        (("runs", "thin", "last"), "there is no run yet"),
        (("export", "last", "--format", "onnx"), "invalid choice: 'onnx'"),
        (("look", "toy.patience", "blend-in", "--out", "x.png"), "visionarium assets build toy.patience"),
        (("look", "nothing", "blend-in", "--out", "x.png"), "is no run, no checkpoint file and no method"),
        (("receipts", "--seeds", "0"), "allowed is 1 to 100"),
        (("data", "check", "folder:nowhere"), "nowhere does not exist"),
        (("app", "--port", "70000"), "--port 70000 cannot be"),
        (("nonsense",), "nonsense"),
    ],
)
def test_bad_input_gets_a_sentence_and_code_2_and_leaves_nothing(call, home, words, sentence):
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err
    assert list((home / "runs").glob("*")) == []


def test_no_space_is_told_before_a_run_is_planned(call, home, monkeypatch):
    monkeypatch.setattr("lab.home.LEAST_FREE", 1 << 60)
    code, _, err = call("train", "toy.patience")
    assert code == 2
    assert "MB are free in" in err
    assert list((home / "runs").glob("*")) == []


def test_a_folder_that_holds_a_run_is_not_written_over(call, done):
    before = (done.folder / "run.json").read_bytes()
    code, _, err = call("train", "toy.patience", "--out", str(done.folder))
    assert code == 2
    assert "already holds a run" in err
    assert (done.folder / "run.json").read_bytes() == before


def test_methods_as_json_has_all_that_a_program_needs(call):
    code, out, _ = call("methods", "--json")
    (row,) = json.loads(out)
    assert code == 0
    assert row == {
        "id": "toy.patience",
        "title": "Patience",
        "wing": "toy",
        "paper": {"authors": "The tests", "venue": "This checkout", "source": row["paper"]["source"]},
        "idea": row["idea"],
        "presets": ["tiny", "demo", "paper"],
        "lenses": ["Blend in"],
        "knobs": ["data", "steps", "batch", "lr", "wait", "fail_at", "hang_at", "full_at", "hoard_at", "hoard"],
    }
    assert call("methods")[1].splitlines()[1].split()[:4] == ["toy.patience", "Patience", "This", "checkout"]


def test_the_list_and_a_run_are_shown_to_people_and_programs(call, done):
    _, out, _ = call("runs", "list", "--json")
    assert json.loads(out)[0] | {"started": ""} == {
        "id": done.id, "method": "toy.patience", "state": "done", "step": 5, "steps": 5, "started": "",
        "name": "a name", "cause": "",
    }  # fmt: skip
    assert done.id in call("runs", "list")[1]
    _, out, _ = call("runs", "show", "last", "--json")
    assert json.loads(out)["numbers"] == {"loss": 0.25}
    assert json.loads(out)["knobs"]["batch"] == 4
    _, out, _ = call("runs", "show", str(done.folder))
    assert "numbers     loss 0.25\n" in out


def test_runs_are_refused_what_is_not_their_time_and_deleted_when_asked(call, done):
    for verb in ("cancel", "pause", "resume"):
        code, _, err = call("runs", verb, done.id)
        assert code == 2
        assert f"run {done.id} is done" in err
    assert call("runs", "delete", done.id, "--yes")[:2] == (0, f"{done.id} deleted\n")
    assert not done.folder.exists()


@pytest.fixture
def three(monkeypatch):
    """Three runs that wait, as far as their locks and states tell."""
    params = catalog.method("toy.patience").params.make({})
    runs = [plan("toy.patience", params, Setup(device="cpu"), f"number {i}", visitor="anna") for i in range(3)]
    monkeypatch.setattr(line, "lives", lambda folder: True)
    for run in runs:
        line.Waiter(run.folder, run.plan)
    return runs


def test_the_queue_is_shown_and_changed(call, three):
    first, _, third = (run.id for run in three)

    def rows():
        return [
            (row["position"], row["name"], row["waits for"]) for row in json.loads(call("runs", "queue", "--json")[1])
        ]

    assert rows() == [(1, "number 0", "its turn"), (2, "number 1", "its turn"), (3, "number 2", "its turn")]
    assert json.loads(call("runs", "queue", "--json")[1])[0] == {
        "line": "cpu", "position": 1, "id": first, "method": "toy.patience", "waits for": "its turn",
        "visitor": "anna", "name": "number 0",
    }  # fmt: skip
    assert call("runs", "move", third, "up")[:2] == (0, f"{third} is number 2 in the line of cpu\n")
    assert call("runs", "move", third, "next")[:2] == (0, f"{third} is number 1 in the line of cpu\n")
    assert call("runs", "hold", third)[:2] == (0, f"{third} is held\n")
    assert rows()[2] == (None, "number 2", "release")
    assert call("runs", "release", third)[:2] == (0, f"{third} is number 1 in the line of cpu\n")
    assert call("runs", "now", first, "--beside")[0] == 0
    assert rows()[0] == (1, "number 0", "any place")
    code, _, err = call("runs", "move", first, "up")
    assert (code, err) == (2, f"visionarium: run {first} is already the first\n")
    assert call("runs", "limit", "cpu", "2")[:2] == (0, "cpu: 2 at once for each visitor\n")
    assert line.Line("cpu").lineup().limit == 2
    assert "number 1" in call("runs", "queue")[1]


def test_an_empty_queue_is_said(call):
    assert call("runs", "queue")[:2] == (0, "no run waits\n")


def test_what_runs_take_is_told_to_people_and_programs(call, done):
    (row,) = json.loads(call("runs", "disk", "--json")[1])
    assert row["id"] == done.id
    assert row["total"] == row["checkpoints"] + row["media"] + row["log"] + row["rest"] > 0
    assert call("runs", "disk")[1].splitlines()[-1].startswith("all 1")


def test_a_run_that_somebody_needs_is_deleted_only_when_that_is_said(call, done, home):
    (home / "sweeps" / "lr").mkdir(parents=True)
    (home / "sweeps" / "lr" / "sweep.json").write_text(json.dumps({"runs": [done.id]}))
    code, _, err = call("runs", "delete", done.id, "--yes")
    assert code == 2
    assert f"run {done.id} is needed: sweep lr holds it. Delete it all the same with --needed" in err
    assert call("runs", "delete", done.id, "--yes", "--needed")[0] == 0
    assert not done.folder.exists()


def test_a_run_is_exported_in_each_form_and_imported(call, done, tmp_path):
    for form, ending in (("script", "py"), ("notebook", "ipynb"), ("run", "zip")):
        out = tmp_path / f"run.{ending}"
        assert call("export", done.id, "--format", form, "--out", str(out))[0] == 0
        assert out.stat().st_size
    compile((tmp_path / "run.py").read_text(), "run.py", "exec")
    code, _, err = call("runs", "import", str(tmp_path / "run.zip"))
    assert (code, "is here already" in err) == (2, True)
    code, out, _ = call("runs", "import", str(tmp_path / "run.zip"), "--as-copy")
    assert code == 0
    assert "done, toy.patience" in out
    code, _, err = call("export", done.id, "--format", "script", "--without-checkpoints")
    assert (code, "goes with --format run" in err) == (2, True)


def test_sources_are_listed_and_checked(call, tmp_path):
    assert "garments" in {row["source"] for row in json.loads(call("data", "list", "--json")[1])}
    (tmp_path / "set" / "cats").mkdir(parents=True)
    (tmp_path / "set" / "cats" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    code, out, err = call("data", "check", f"folder:{tmp_path / 'set'}")
    assert code == 1
    assert "broken.png" in out
    assert "faults that stop a run" in err
    rows = json.loads(call("data", "check", f"folder:{tmp_path / 'set'}", "--json")[1])
    assert any(row["stops"] and "broken.png" in row["where"] for row in rows)


def test_receipts_without_a_measurement_say_how_to_measure(call):
    code, out, _ = call("receipts")
    assert code == 0
    assert "visionarium receipts toy.patience --measure" in out
    assert json.loads(call("receipts", "--json")[1]) == []


def test_a_reader_that_has_seen_enough_is_no_error(home):
    line = f"{sys.executable} -m lab.cli data list | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.slow
def test_from_training_to_a_picture(call, tmp_path):
    code, out, err = call("train", "toy.patience", "--steps", "4", "--name", "first")
    assert code == 0, err
    assert "done after 4 steps" in out
    (run,) = json.loads(call("runs", "list", "--json")[1])
    assert (run["state"], run["step"], run["name"]) == ("done", 4, "first")
    hint = next(line for line in out.splitlines() if line.startswith("look: visionarium "))
    words = hint.removeprefix("look: visionarium ").split()
    assert words[:3] == ["look", run["id"], slug("Blend in")]
    words[-1] = str(tmp_path / "look.png")
    assert call(*words)[0] == 0
    assert (tmp_path / "look.png").read_bytes().startswith(b"\x89PNG")
    code, _, err = call("look", "last", "blend-in", "--images", __file__, "--out", str(tmp_path / "no.png"))
    assert code == 2
    assert "test_command_line.py" in err
    assert not (tmp_path / "no.png").exists()


@pytest.mark.slow
def test_a_failing_run_ends_with_code_1_and_its_cause(call, tmp_path):
    code, out, err = call("train", "toy.patience", "--fail-at", "2", "--out", str(tmp_path / "here"))
    assert (code, out) == (1, "")
    assert "failed after 0 steps: RuntimeError: this step was told to fail" in err
    assert str(tmp_path / "here" / "log.txt") in err


SWEEP = ("sweep", "toy.patience", "--grid", "batch=1,2", "lr=0.1,0.2")


def test_a_sweep_is_started_listed_shown_and_stopped(call, home, monkeypatch):
    class Waits(Local):
        def submit(self, folder):
            write_state(folder, "done" if Run(folder).plan.values["batch"] == 1 else "cancelled", step=5, steps=5)
            (folder / "metrics.jsonl").write_text('{"step": 5, "time": 0.5, "loss": 0.25}\n')

    monkeypatch.setattr("lab.runs.run.LOCAL", Waits())
    code, out, err = call(*SWEEP, "--seeds", "2", "--name", "mine", "--steps", "7")
    id = out.strip()
    assert (code, err) == (0, f"watch: visionarium sweep show {id} --follow\n")
    (row,) = json.loads(call("sweep", "list", "--json")[1])
    assert row | {"started": ""} == {
        "id": id, "method": "toy.patience", "state": "stopped", "done": 4, "runs": 8, "grid": "batch=1,2 lr=0.1,0.2",
        "seeds": 2, "started": "", "name": "mine",
    }  # fmt: skip
    assert id in call("sweep", "list")[1]
    whole = json.loads(call("sweep", "show", "last", "--json")[1])
    assert (whole["figure"], whole["higher"], whole["knobs"]["steps"]) == ("loss", False, 7)
    assert [cell["loss"] for cell in whole["cells"]] == [0.25, 0.25, None, None]
    assert [cell["best"] for cell in whole["cells"]] == [True, False, False, False]
    assert whole["cells"][1]["runs"] == [run.id for run in find_sweep(id).runs[1::4]]
    shown = call("sweep", "show", id)[1]
    assert "stopped: 4 of 8 runs done; lower loss is better" in shown
    assert "0.25 ± 0 best" in shown
    code, _, err = call("sweep", "keep", id, str(home / "kept.json"))
    assert code == 2
    assert f"sweep {id} is stopped; only one that is done can be kept" in err
    assert call("sweep", "show", id, "--follow")[0] == 4
    assert call("sweep", "stop", id)[:2] == (0, f"{id} stopped; go on: visionarium sweep resume {id}\n")
    (home / "sweeps" / "other").mkdir()
    (home / "sweeps" / "other" / "sweep.json").write_text(json.dumps({"runs": [find_sweep(id).plan.runs[0]]}))
    code, _, err = call("sweep", "delete", id, "--yes")
    assert code == 2
    assert "is needed: sweep other holds it. Delete it all the same with --needed" in err
    assert call("sweep", "delete", "last", "--yes", "--needed")[1] == f"{id} deleted, and 8 runs with it\n"
    assert call("runs", "list")[1].startswith("there is no run yet")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("sweep",), "METHOD"),
        (("sweep", "toy.patienc"), "did you mean toy.patience"),
        (("sweep", "toy.patience"), "no knob is varied"),
        (("sweep", "toy.patience", "--grid", "lr"), "write knob=value,value"),
        (("sweep", "toy.patience", "--grid", "lr=99"), "lr: 99.0 is out of range"),
        ((*SWEEP, "--seeds", "0"), "seeds: 0 cannot be"),
        ((*SWEEP, "--figure", "fame"), "choose loss, first"),
        ((*SWEEP, "--data", "garmets"), "use garments"),
        ((*SWEEP, "--stepz", "3"), "--stepz"),
        (("sweep", "show", "last"), "there is no sweep yet"),
        (("sweep", "stop", "../.."), "is no sweep's id"),
        (("sweep", "keep", "last", "kept.json"), "there is no sweep yet"),
        (("sweep", "resume", "20261122-171233-4f2a"), "there is no sweep 20261122-171233-4f2a"),
    ],
)
def test_a_sweep_that_cannot_be_gets_a_sentence_and_leaves_nothing(call, home, words, sentence):
    code, out, err = call(*words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err
    assert list((home / "runs").glob("*")) == []
