"""provenance.json: what it holds, when two sets are the same, and what a resume says of what has changed."""

import json
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch
from patience_runs import home  # noqa: F401 - a fixture
from PIL import Image

from engine import catalog, provenance
from engine.bench import Bench, Setup
from engine.data.base import Batch, Facts, Memory
from engine.data.fingerprint import PIECE, SAMPLE, fingerprint
from engine.folder import plan_run, wish
from engine.provenance import checkout, merge, read_provenance
from engine.run import run


@pytest.fixture
def planned(home, tmp_path):  # noqa: F811
    def plan(**knobs):
        folder = tmp_path / "run"
        plan_run(folder, "toy.patience", catalog.method("toy.patience").params.make(knobs), Setup(device="cpu"))
        return folder

    return plan


def small(value=0, count=8):
    images = torch.full((count, 1, 4, 4), 7, dtype=torch.uint8)
    images[count // 2] = value
    return Memory(Batch(images, torch.arange(count), torch.arange(count)), Facts(1, 4, ("a", "b")))


def test_a_run_tells_what_was_asked_and_what_answered(planned):
    folder = planned(steps=3)
    assert run(folder) == "done"
    told = read_provenance(folder)
    assert told["params"]["steps"] == 3
    assert told["setup"]["device"] == "cpu"
    assert told["seeds"] == {"seed": 0}
    assert told["packages"]["torch"] == torch.__version__.partition("+")[0]
    assert told["packages"]["numpy"] == np.__version__
    assert told["machine"]["threads"] == torch.get_num_threads()
    assert told["changes"] == []
    assert told["data"]["garments train"]["images"] == 10_000


def test_a_set_that_the_method_opens_later_is_told_too(home, tmp_path):  # noqa: F811
    folder = tmp_path / "run"
    id = "fewshot.prototypical"
    plan_run(folder, id, catalog.method(id).params.make({}, "tiny"), Setup(device="cpu"))
    assert run(folder) == "done"
    assert read_provenance(folder)["data"].keys() == {"glyphs train", "glyphs test"}


def test_a_resume_on_other_packages_says_from_which_step_and_what_was_before(planned, monkeypatch):
    folder = planned(steps=6)
    assert run(folder, lambda step, _: step == 2 and wish(folder, "pause")) == "paused"
    assert run(folder, lambda step, _: step == 4 and wish(folder, "pause")) == "paused"
    assert read_provenance(folder)["changes"] == [], "nothing has changed"
    started = read_provenance(folder)["started"]
    before = provenance.packages()
    monkeypatch.setattr(provenance, "packages", lambda: before | {"torch": "9.9"})
    assert run(folder) == "done"
    told = read_provenance(folder)
    assert told["changes"] == [{"step": 4, "what": "packages torch", "was": before["torch"], "now": "9.9"}]
    assert told["packages"]["torch"] == "9.9"
    assert told["started"] == started


def test_a_run_without_a_checkpoint_begins_its_provenance_anew(planned):
    folder = planned(steps=3, fail_at=2)
    (folder / "provenance.json").write_text(json.dumps({"packages": {"torch": "1.0"}}))
    assert run(folder) == "failed"
    assert read_provenance(folder)["changes"] == []


@pytest.mark.parametrize("damaged", ["", "{", "[1]", "\udcff"])
def test_a_damaged_record_is_no_record(tmp_path, damaged):
    (tmp_path / "provenance.json").write_bytes(damaged.encode("utf-8", "surrogateescape"))
    assert read_provenance(tmp_path) == {}


def test_changes_are_kept_over_many_resumes():
    told = merge({}, {"packages": {"torch": "1"}, "machine": {"device": "a"}}, 0)
    told = merge(told, {"packages": {"torch": "2", "timm": "1"}, "machine": {"device": "a"}}, 5)
    told = merge(told, {"packages": {"torch": "3", "timm": "1"}, "machine": {"device": "b"}}, 9)
    assert [(one["step"], one["what"], one["was"], one["now"]) for one in told["changes"]] == [
        (5, "packages torch", "1", "2"),
        (9, "packages torch", "2", "3"),
        (9, "machine device", "a", "b"),
    ]


@pytest.mark.parametrize(
    "other",
    [
        small(value=9),
        small(count=9),
        Memory(replace(small().rows, labels=torch.zeros(8, dtype=torch.int64)), small().facts),
        Memory(small().rows, Facts(1, 4, ("a", "c"))),
        Memory(replace(small().rows, labels=None), small().facts),
    ],
    ids=["pixels", "count", "labels", "names", "no labels"],
)
def test_another_set_has_another_fingerprint(other):
    assert fingerprint(small(), "toy")["content"] == fingerprint(small(), "toy")["content"]
    assert fingerprint(small(), "toy")["content"] != fingerprint(other, "toy")["content"]


def test_of_a_large_set_a_sample_is_hashed_and_said(monkeypatch):
    monkeypatch.setattr("engine.data.fingerprint.WHOLE", 100)
    whole = small(count=1000)
    told = fingerprint(whole, "toy")
    assert told["over"] == f"{SAMPLE} images at even distances"
    whole.rows.images[1] = 200  # lies between two that are looked at
    assert fingerprint(whole, "toy") == told
    whole.rows.images[999 * (SAMPLE - 1) // SAMPLE + 1] = 200
    whole.rows.images[1000 * 3 // SAMPLE] = 200
    assert fingerprint(whole, "toy") != told


@pytest.fixture
def pictures(tmp_path):
    root = tmp_path / "pictures"
    for name in ("cats", "dogs"):
        (root / name).mkdir(parents=True)
        for i in range(4):
            Image.new("L", (8, 8), 20 * i).save(root / name / f"{i}.png")
    return root


def test_a_folder_has_two_fingerprints_and_neither_depends_on_where_it_lies(pictures):
    def of(root):
        return fingerprint(Bench(Setup(device="cpu")).data(f"folder:{root}", "train", 8), f"folder:{root}")

    told = of(pictures)
    assert told["of"] == "names and sizes of 8 files"
    moved = pictures.rename(pictures.with_name("elsewhere"))
    assert of(moved) == told
    Image.new("L", (8, 8), 255).save(moved / "cats" / "held.png")
    assert of(moved)["files"] != told["files"]


def test_a_large_file_is_hashed_at_both_ends(tmp_path):
    file = tmp_path / "boxes.json"
    file.write_bytes(bytes(3 * PIECE))
    told = fingerprint(small(), f"coco:{file}")
    assert told["of"] == "both ends of boxes.json"
    with open(file, "r+b") as changed:
        changed.seek(-1, 2)
        changed.write(b"x")
    assert fingerprint(small(), f"coco:{file}")["files"] != told["files"]


def test_a_checkout_tells_its_commit_and_whether_it_was_changed(tmp_path):
    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.run(["git", "-C", tmp_path, *who, *words], check=True, capture_output=True, text=True).stdout

    assert checkout(tmp_path) == {}
    git("init", "-q")
    (tmp_path / "code.py").write_text("1")
    git("add", ".")
    git("commit", "-qm", "first")
    assert checkout(tmp_path) == {"commit": git("rev-parse", "HEAD").strip(), "dirty": False}
    (tmp_path / "code.py").write_text("2")
    assert checkout(tmp_path)["dirty"] is True


def test_without_git_the_commit_is_left_out(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert checkout(tmp_path) == {}
