"""What every method promises, over the whole catalogue, in its tiny preset on the CPU."""

from functools import cache

import numpy as np
import pytest
import torch

from engine import catalog
from engine.bench import Bench, Setup
from engine.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from engine.data.base import Memory
from engine.method import Boxes, drive
from engine.record import read_values, write_values

SETS = {}
METHODS = pytest.mark.parametrize("id", catalog.ids())


def tiny(id, resume=None, until=None, seed=0):
    """A tiny run: [(step, loop position, report)], the model, the bench."""
    method = catalog.method(id)
    params = method.params.make({}, "tiny")
    bench = Bench(Setup.make({"device": "cpu", "seed": seed}, "tiny"), resume, SETS)
    model = method.build(params, bench.facts(params))
    start = {name: value.clone() for name, value in model.state_dict().items()}
    reports = []
    for report in drive(method, model, params, bench):
        kept = {name: value.clone() if torch.is_tensor(value) else value for name, value in report.items()}
        reports.append((bench.done, bench.state()["at"], kept))
        if until is not None and reports[-1][:2] == until:
            break
    return method, params, bench, model, start, reports


@pytest.fixture(scope="module")
def whole():
    return cache(tiny)


def checkpoint_of(id, params, bench, model):
    return Checkpoint(
        id, params.model_dump(mode="json"), bench.facts(params), bench.done, model.state_dict(), bench.state()
    )


def differing(one, two):
    """Names whose values differ between two reports."""
    names = set(one) ^ set(two)
    for name in set(one) & set(two):
        a, b = one[name], two[name]
        if torch.is_tensor(a) or torch.is_tensor(b):
            a, b = torch.as_tensor(a), torch.as_tensor(b)
            if a.shape != b.shape or not torch.equal(
                torch.nan_to_num(a.double(), 7e7), torch.nan_to_num(b.double(), 7e7)
            ):
                names.add(name)
        elif a != b and not (a != a and b != b):
            names.add(name)
    return names


def check_values(values, exhibits, where):
    """Every exhibit's names are there and, but for the empty rows of boxes, finite."""
    boxes = {name for exhibit in exhibits if isinstance(exhibit, Boxes) for name in exhibit.names[1:]}
    shown = {name for exhibit in exhibits for name in (*exhibit.names, *getattr(exhibit, "under", ()))}
    missing = shown - set(values)
    assert not missing, f"{where} never reports {sorted(missing)}"
    for name, value in values.items():
        if torch.is_tensor(value) and value.is_floating_point():
            assert not value.requires_grad, f"{where}: {name} must be detached"
            value = value[~value.isnan().all(-1)] if name in boxes else value
            assert torch.isfinite(value).all(), f"{where}: {name} is not finite"
        elif isinstance(value, float):
            assert np.isfinite(value), f"{where}: {name} is not finite"


@METHODS
def test_it_reports_as_often_as_it_promises_and_all_that_its_exhibits_show(id, whole):
    method, params, _, _, _, reports = whole(id)
    assert reports[-1][0] == method.steps(params)
    assert sorted({step for step, _, _ in reports}) == list(range(1, method.steps(params) + 1))
    merged = {name: value for _, _, report in reports for name, value in report.items()}
    check_values(merged, method.exhibits, id)
    assert {method.claim.figure, method.claim.baseline} <= set(reports[-1][2]), (
        "the claim's numbers end the last report"
    )


@METHODS
def test_training_changes_the_model(id, whole):
    _, _, _, model, start, _ = whole(id)
    assert any(not torch.equal(value, start[name]) for name, value in model.state_dict().items())


@METHODS
def test_the_same_seed_gives_the_same_numbers(id, whole):
    first, second = whole(id)[-1], tiny(id)[-1]
    assert [step for step, *_ in first] == [step for step, *_ in second]
    for one, two in zip(first, second, strict=True):
        assert not differing(one[2], two[2]), one[0]


@METHODS
def test_a_run_resumes_bit_equal_inside_each_of_its_loops(id, whole, tmp_path):
    *_, final_model, _, reports = whole(id)
    steps_of = {}
    for step, at, _ in reports:
        steps_of.setdefault(at[0], []).append((step, at))
    for stops in steps_of.values():
        step, at = stops[(len(stops) - 1) // 2]
        _, params, bench, model, _, _ = tiny(id, until=(step, at))
        path = tmp_path / f"{step}.safetensors"
        write_checkpoint(path, checkpoint_of(id, params, bench, model))
        *_, resumed, _, after = tiny(id, read_checkpoint(path, with_state=True))
        expected = [entry for entry in reports if entry[0] > step]
        got = [entry for entry in after if entry[0] > step]
        assert [entry[0] for entry in got] == [entry[0] for entry in expected]
        for one, two in zip(expected, got, strict=True):
            assert not differing(one[2], two[2]), f"after step {step}, at {one[0]}"
        for name, value in final_model.state_dict().items():
            assert torch.equal(value, resumed.state_dict()[name]), name


@METHODS
def test_a_checkpoint_round_trip_is_exact(id, whole, tmp_path):
    method, params, bench, model, _, _ = whole(id)
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, checkpoint_of(id, params, bench, model))
    read = read_checkpoint(path)
    assert method.params.make(read.params) == params
    fresh = method.build(method.params.make(read.params), read.facts)
    fresh.load_state_dict(dict(read.weights))
    for name, value in model.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value.cpu()), name


@METHODS
def test_its_lenses_answer_and_their_answers_can_be_stored(id, whole, tmp_path):
    method, params, _, model, _, _ = whole(id)
    facts = Bench(Setup(device="cpu"), sets=SETS).facts(params)
    for lens in method.lenses:
        bench = Bench(Setup.make({"device": "cpu"}, "tiny"), sets=SETS)
        data = bench.data(params.data, "test", getattr(params, "size", None))
        images = lens.given(data.batch(torch.arange(2)).to("cpu").images)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        answer = {}
        for answer in lens.answers(model, lens.params.make({}, "tiny"), images, bench):  # noqa: B007
            pass
        check_values(answer, lens.exhibits, f"{id} {lens.name}")
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), "a lens only looks"
        path = tmp_path / "answer.safetensors"
        write_values(path, answer)
        assert set(read_values(path)[0]) == set(answer)
        if ends := lens.ends(model, images):
            at_the_ends = lens.params.up_to(ends).make(ends, "tiny").model_dump()
            *_, answer = lens.answers(model, lens.params.make(at_the_ends), images, bench)
            check_values(answer, lens.exhibits, f"{id} {lens.name} at {ends}")
    assert facts.size > 0


@METHODS
def test_its_knobs_and_its_card_are_whole(id):
    method, card = catalog.method(id), catalog.card(id)
    assert card.idea
    assert card.terms
    for params in (method.params, *(lens.params for lens in method.lenses)):
        for preset in ("tiny", "demo", "paper"):
            params.make({}, preset)
        knobs = params.knobs()
        assert all(knob.help for knob in knobs)
        assert sum(not knob.fold for knob in knobs) <= 8, "at most eight knobs in first sight"
    assert isinstance(Bench(Setup(device="cpu"), sets=SETS).data(method.params.make({}, "tiny").data, "test"), Memory)
