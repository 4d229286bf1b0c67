"""Arms of a claim as they trained: what is kept of each, and that looking does not change the training."""

import shutil

import numpy as np
import pytest
import torch

from engine import arms, receipts, showcase
from engine.bench import Bench, Setup
from engine.catalog import method
from engine.method import drive

ID = "representation.simclr"
TINY = {"steps": 4, "batch": 8, "width": 2, "labels": 40, "warmup": 1, "dim": 8}


def test_an_outcome_keeps_the_claims_course_and_the_first_seed_a_trace():
    outcome, trace = receipts.outcome(ID, TINY, 0)
    course = outcome.course
    assert set(course) == {"step", "seconds", *method(ID).claim.course}
    assert course["step"] == [1, 2, 3, 4]
    assert course["seconds"] == sorted(course["seconds"])
    assert course["neighbours"][-1] == pytest.approx(outcome.figure, abs=1e-3)
    assert trace["places"].shape == (4, arms.PINNED, 2)
    assert trace["steps"].tolist() == course["step"]
    other, none = receipts.outcome(ID, TINY, 1)
    assert none == {}
    assert other.course["step"] == course["step"]


def test_looking_changes_nothing():
    losses = []
    for looks in (True, False):
        bench, params = Bench(Setup(device="cpu")), method(ID).params.make(TINY)
        model = method(ID).build(params, bench.facts(params))
        trace = arms.Trace(method(ID), model, params, bench)
        losses.append([])
        for report in drive(method(ID), model, params, bench):
            losses[-1].append(report["loss"].item())
            if looks:
                trace.look()
    assert losses[0] == losses[1]


def test_what_is_written_is_read_and_a_collapse_is_a_point(tmp_path):
    steps = np.array([5, 10])
    spread = np.random.default_rng(0).normal(size=(2, 6, 2)).astype(np.float32)
    pictures = {"thumbnails": np.zeros((6, 1, 4, 4), np.uint8), "labels": np.arange(6) % 2}
    told = {
        "a": {"places": spread, "steps": steps} | pictures,
        "b": {"places": spread * 0, "steps": steps} | pictures,
    }
    arms.write("x.y", told, ("one", "two"), tmp_path)
    found = arms.read("x.y", tmp_path)
    assert list(found.places) == ["a", "b"]
    assert found.steps == {"a": [5, 10], "b": [5, 10]}
    np.testing.assert_allclose(found.places["a"], spread)
    assert found.classes == ("one", "two")
    assert found.labels.tolist() == [0, 1] * 3
    assert arms.read("z.z", tmp_path) is None


def test_features_that_are_all_alike_lie_in_one_point():
    class Same(torch.nn.Module):
        def forward(self, images):
            return torch.full((len(images), 4), 3.0)

    bench, params = Bench(Setup(device="cpu")), method(ID).params.make(TINY)
    same = type(method(ID))(**{**vars(method(ID)), "embed": lambda model, images: model(images)})
    trace = arms.Trace(same, Same(), params, bench)
    trace.look()
    assert np.abs(trace.told()["places"]).max() < 1e-6


def test_lenses_asked_anew_leave_the_arms(tmp_path):
    kept = showcase.folder(ID, tmp_path)
    kept.mkdir(parents=True)
    shutil.copy(showcase.folder(ID) / "checkpoint.safetensors", kept)
    told = {"places": np.zeros((2, 3, 2)), "steps": np.arange(2), "thumbnails": np.zeros((3, 1, 4, 4)),
            "labels": np.zeros(3, dtype=int)}  # fmt: skip
    arms.write(ID, {"both": told}, ("shoe",), tmp_path)
    (tmp_path / "MANIFEST.json").write_text("[]")
    (kept / "an-old-lens.safetensors").touch()
    showcase.build_answers(ID, tmp_path)
    assert arms.read(ID, tmp_path) is not None
    assert (kept / "neighbours.safetensors").exists()
    assert not (kept / "an-old-lens.safetensors").exists()
