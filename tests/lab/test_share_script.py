"""The script and the notebook of a run: they retrain it without the lab and report the very numbers it recorded."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from engine.bench import Setup
from engine.catalog import method
from engine.checkpoint import read_checkpoint
from engine.record import checkpoints, rows
from engine.run import run as carry_out
from lab.runs.executors import environment
from lab.runs.run import plan
from lab.share.script import cells, facts, literal, notebook, script

BOTH = pytest.mark.parametrize("id", ["fewshot.prototypical", "augmentation.randaugment"])
WITHOUT_THE_LAB = "import sys; sys.modules.update(dict.fromkeys(['lab', 'streamlit'])); "


@pytest.fixture
def made(home):
    def make(id, name=""):
        run = plan(id, method(id).params.make({}, "tiny"), Setup.make({"device": "cpu", "seed": 3}, "tiny"), name)
        assert carry_out(run.folder) == "done"
        return run

    return make


def retrained(code, folder):
    """(what it printed, the rows and the checkpoint it kept) of a program in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_LAB + code], cwd=folder, env=environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    (kept,), (weights,) = folder.glob("*.jsonl"), folder.glob("*.safetensors")
    return done.stdout.splitlines(), [json.loads(line) for line in kept.read_text().splitlines()], weights


def same(run, printed, kept, weights):
    recorded = [{name: value for name, value in row.items() if name != "time"} for row in rows(run.folder)]
    assert kept == recorded
    *shown, _ = printed
    assert [json.loads(line) for line in shown] == [row for row in recorded if row["step"] in {2, 3}]
    mine, again = (read_checkpoint(path).weights for path in (checkpoints(run.folder)[-1][1], weights))
    assert mine.keys() == again.keys()
    assert all(mine[name].equal(again[name]) for name in mine)


@pytest.mark.slow
@BOTH
def test_the_script_reports_the_numbers_of_the_run(made, tmp_path, id):
    run, folder = made(id), tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "again.py").write_text(script(run))
    same(run, *retrained("import runpy; runpy.run_path('again.py')", folder))


@pytest.mark.slow
@BOTH
def test_the_cells_of_the_notebook_in_their_order_do_too(made, tmp_path, id):
    run, folder = made(id), tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "again.ipynb").write_text(notebook(run))
    code = """import json
for cell in json.load(open("again.ipynb"))["cells"]:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), cell["id"], "exec"), globals())
"""
    same(run, *retrained(code, folder))


def test_a_notebook_has_the_form_that_readers_want(made):
    book = json.loads(notebook(made("fewshot.prototypical")))
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in book["cells"]]
    assert len(set(ids)) == len(ids)
    assert book["cells"][0]["cell_type"] == "markdown"
    assert all({"execution_count", "outputs"} <= cell.keys() for cell in book["cells"][1:])


def test_what_a_run_says_of_itself_never_becomes_code(made):
    run = made("fewshot.prototypical")
    hostile = "\"\"\"\nimport os\n''' <img src=x onerror=alert(1)> \\"
    run._plan = replace(run.plan, name=hostile)
    (run.folder / "provenance.json").write_text(
        json.dumps({"code": {"commit": hostile}, "changes": [{"now": hostile}]})
    )
    lines = script(run).splitlines()
    assert not any(line.startswith("import os") for line in lines)
    compile(script(run), "script", "exec")
    assert "<img" not in json.loads(notebook(run))["cells"][0]["source"].__str__()
    assert all("import os" not in cell.text for cell in cells(run) if cell.kind == "code")


@pytest.mark.parametrize(
    "value", ["plain", 'a "quoted" word', "back\\slash", "two\nlines", "\u2028 é", 3, 0.1, True, ("a",)]
)
def test_a_literal_is_the_value_again(value):
    assert eval(literal(value)) == value


def test_the_head_tells_where_the_numbers_came_from_and_what_changed(made):
    run = made("fewshot.prototypical")
    told = json.loads((run.folder / "provenance.json").read_text())
    told["changes"] = [{"step": 2, "what": "packages torch", "was": "1.0", "now": "2.0"}]
    said = dict(facts(told))
    assert said["changed on resume at step 2"] == "packages torch: 1.0 → 2.0"
    assert told["code"]["method"] in said["code"]
    assert f"torch {told['packages']['torch']}" in said["packages"]
    assert said["seed"] == "3"
    assert "none" in dict(facts({}))["provenance"]


def test_a_run_whose_knobs_are_of_another_version_is_refused_in_words(made):
    run = made("fewshot.prototypical")
    run._plan = replace(run.plan, values={"wayz": 3})
    with pytest.raises(ValueError, match="there is no such knob"):
        script(run)
