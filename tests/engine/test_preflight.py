"""A look at a run before it starts: all methods, runs that would fail, and the limit of time."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from patience_runs import home  # noqa: F401 - a fixture
from PIL import Image

from engine import catalog
from engine.bench import Setup
from engine.preflight import Check, Preflight, faults_within

CPU = Setup(device="cpu").model_dump(mode="json")


def plan(id, preset="demo", **knobs):
    values = catalog.method(id).params.make(knobs, preset).model_dump(mode="json")
    return {"method": id, "values": values, "setup": CPU}


def measured(plan, limit=15.0):
    check = Check(plan, limit)
    if check.prepare():
        check.measure()
    return check.result()


def process(plan, *words):
    done = subprocess.run(
        [sys.executable, "-m", "engine.preflight", *words], input=json.dumps(plan), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return Preflight.read(done.stdout)


@pytest.fixture(autouse=True)
def unbound(monkeypatch):
    """Leave the memory limit of the tests' own process alone."""
    monkeypatch.setattr("engine.memory.stay_inside", lambda device, ranks: None)


@pytest.fixture
def toy(home, monkeypatch):  # noqa: F811
    """toy.patience with another training."""

    def change(**parts):
        changed = replace(catalog.method("toy.patience"), **parts)
        monkeypatch.setattr(catalog, "method", lambda id: changed)

    return change


@pytest.mark.slow
@pytest.mark.parametrize("id", catalog.ids())
def test_every_method_is_looked_at(id):
    found = measured(plan(id, "tiny"))
    assert (found.problems, found.ok) == ([], True)
    assert found.measured == found.steps == catalog.method(id).steps(catalog.method(id).params.make({}, "tiny"))
    assert found.first_seconds > 0 < found.step_seconds
    assert found.seconds >= found.first_seconds
    assert 0 <= found.peak_mb < found.room_mb


def test_most_steps_are_left_out_and_the_end_is_seen(home):  # noqa: F811
    found = measured(plan("toy.patience", steps=1000, wait=0.01))
    assert found.ok
    assert (found.steps, found.measured) == (1000, 11)
    assert 0.009 < found.step_seconds < 0.1
    assert found.seconds == pytest.approx(1000 * found.step_seconds, rel=0.5)


def test_the_process_answers_and_leaves_nothing_behind(home, tmp_path):  # noqa: F811
    found = process(plan("toy.patience", steps=50))
    assert found.ok
    assert found.measured == 11
    assert list(tmp_path.rglob("*")) == []


def test_a_step_that_takes_too_long_is_stopped_in_its_midst(home):  # noqa: F811
    since = time.monotonic()
    found = process(plan("toy.patience", steps=100, wait=90.0), "2")
    assert time.monotonic() - since < 60
    (remark,) = [remark for remark in found.remarks if remark.startswith("one step takes more than ")]
    at_least = float(remark.split()[-2])
    assert found.ok
    assert found.measured == 0
    assert found.seconds >= 100 * (at_least - 0.05)  # how long it had, the machine decides


@pytest.mark.slow
def test_the_limit_is_fifteen_seconds(home):  # noqa: F811
    since = time.monotonic()
    found = process(plan("toy.patience", steps=100, wait=4.0))
    took = time.monotonic() - since - found.start_seconds
    assert took < 16
    assert found.step_seconds == pytest.approx(4, abs=0.5)
    assert any("takes more than" in remark or "time was up" in remark for remark in found.remarks)


def test_out_of_memory_at_a_step_names_the_batch_to_take(toy):
    def train(model, params, bench):
        for step in bench.steps(params.steps):
            if step == 2:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has")
            yield {"loss": 1.0}

    toy(train=train)
    found = measured(plan("toy.patience", batch=64, steps=100))
    assert not found.ok
    assert "OutOfMemoryError: CUDA out of memory" in found.problems[0]
    assert found.instead["batch"] <= 32
    assert f"Batch {found.instead['batch']} needs about" in found.problems[0]


def test_of_several_ranks_the_first_is_seen_with_its_part_of_a_batch(toy, monkeypatch):
    seen, rooms = [], []

    def train(model, params, bench):
        for batch in bench.batches(bench.data(params.data, "train"), params.batch, params.steps):
            seen.append(len(batch.images))
            yield {"loss": 1.0}

    toy(train=train)
    monkeypatch.setattr("engine.memory.stay_inside", lambda device, ranks: rooms.append(ranks))
    shared = {"setup": CPU | {"ranks": 2}}
    found = measured(plan("toy.patience", batch=8, steps=20) | shared)
    assert (found.problems, found.ranks, rooms) == ([], 2, [2])
    assert set(seen) == {4}
    assert any(remark.startswith("seen of one of 2 processes alone") for remark in found.remarks)
    (problem,) = measured(plan("toy.patience", batch=9, steps=20) | shared).problems
    assert "batch: 9 cannot be shared evenly by 2 ranks; make it a multiple of 2" in problem


def test_a_loss_that_is_not_finite_in_the_first_steps_would_fail(toy):
    def train(model, params, bench):
        for step in bench.steps(params.steps):
            if step == 1:
                model.weight.data.fill_(float("nan"))
            yield {"loss": model.weight.sum().detach()}

    toy(train=train)
    found = measured(plan("toy.patience", steps=100))
    assert "loss became nan at step 2" in found.problems[0]
    assert "The first weights that are not finite: weight" in found.problems[0]
    assert found.instead == {"lr": 0.03}


def test_shapes_that_do_not_agree_are_said(toy):
    def train(model, params, bench):
        for _ in bench.steps(params.steps):
            yield {"loss": (torch.ones(2, 3) @ torch.ones(4, 5)).sum()}

    toy(train=train)
    found = measured(plan("toy.patience"))
    assert "shapes cannot be multiplied" in found.problems[0]
    assert "Shapes do not agree" in found.problems[0]


def test_what_fails_for_want_of_the_steps_left_out_is_no_problem(toy):
    def train(model, params, bench):
        steps = 0
        for _ in bench.steps(params.steps):
            steps += 1
            yield {"loss": 1.0}
        if steps < params.steps:
            raise ValueError("the teacher has learned nothing")
        for _ in bench.steps(params.steps):
            yield {"loss": 1.0}

    toy(train=train, steps=lambda params: 2 * params.steps)
    found = measured(plan("toy.patience", steps=100))
    assert found.ok
    assert any(remark.endswith("left out here: the teacher has learned nothing") for remark in found.remarks)
    assert (found.steps, found.measured) == (200, 11)
    assert measured(plan("toy.patience", steps=5)).measured == 10


def test_a_batch_larger_than_the_data_is_said(home, tmp_path):  # noqa: F811
    pictures(tmp_path / "set", ["cats", "dogs"], 3)
    found = measured(plan("toy.patience", data=f"folder:{tmp_path / 'set'}", batch=500))
    assert "500 is more than the" in found.problems[0]


def pictures(root, classes, count=6):
    for shade, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(count):
            Image.effect_noise((32, 32), 10 + 30 * shade + i).save(root / name / f"{i}.png")


def test_a_folder_that_is_missing_is_named_with_the_one_that_is_there(home, tmp_path):  # noqa: F811
    pictures(tmp_path / "flowers", ["rose", "tulip"])
    found = measured(plan("toy.patience", data=f"folder:{tmp_path / 'flwers'}"))
    assert found.measured == 0
    assert f"{tmp_path / 'flwers'} does not exist" in found.problems[0]
    assert found.instead == {"data": f"folder:{tmp_path / 'flowers'}"}


def test_classes_whose_order_has_changed_are_a_remark(home, tmp_path):  # noqa: F811
    pictures(tmp_path / "train", ["ant", "bee", "cat"])
    pictures(tmp_path / "test", ["bee", "cat"])
    found = measured(plan("toy.patience", data=f"folder:{tmp_path}"))
    assert found.ok
    assert any("call bee 0 here and 1 in training" in remark for remark in found.remarks)


def test_a_broken_picture_would_fail(home, tmp_path):  # noqa: F811
    pictures(tmp_path, ["ant", "bee"])
    (tmp_path / "bee" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    found = measured(plan("toy.patience", data=f"folder:{tmp_path}"))
    assert any("torn.png" in problem for problem in found.problems)


def test_a_check_of_data_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr("engine.data.check.check", lambda spec: time.sleep(60))
    since = time.monotonic()
    assert faults_within("garments", 0.2) is None
    assert time.monotonic() - since < 10
    monkeypatch.setattr("engine.data.check.check", lambda spec: os._exit(1))
    assert faults_within("garments", 20) is None


def test_no_answer_is_said():
    with pytest.raises(ValueError, match="ended without an answer"):
        Preflight.read("Killed")
