"""Monte-Carlo dropout: its answers, its doubts, both of its tasks."""

import math

import pytest
import torch

from engine.bench import Bench, Setup
from engine.data.base import Facts
from engine.method import KnobError, drive
from engine.methods.uncertainty.mc_dropout import METHOD, McDropout, McDropoutParams

SEGMENT = {"task": "segment", "data": "scenes:scene64s:16", "width": 4, "batch": 2, "asked": 64}


@pytest.fixture(scope="module")
def segmented():
    """A tiny run on scenes: the model, its reports, the sets."""
    sets = {}
    params = McDropoutParams.make(SEGMENT, "tiny")
    bench = Bench(Setup.make({"device": "cpu"}, "tiny"), sets=sets)
    model = METHOD.build(params, bench.facts(params))
    return model, list(drive(METHOD, model, params, bench)), sets


def small(**knobs):
    torch.manual_seed(0)
    return McDropout(McDropoutParams.make({"width": 4, "hidden": 16, **knobs}), Facts(1, 12, ("a", "b", "c"))).eval()


def images(count=6):
    return torch.rand(count, 1, 12, 12, generator=torch.Generator().manual_seed(0))


def test_without_dropout_all_passes_give_the_usual_answer():
    model = small(dropout=0.0)
    told = model.ask(images(), 4, seed=0)
    torch.testing.assert_close(told, model(images()).softmax(1)[:, None].expand_as(told))


def test_the_mean_over_passes_settles_as_one_over_their_root():
    model, picture = small(), images(1)

    def scatter(passes):
        return model.ask(picture.expand(400, -1, -1, -1), passes, seed=0).mean(dim=1)[:, 0].std()

    assert scatter(4) / scatter(64) == pytest.approx(4, rel=0.25)


def test_portions_change_what_fits_into_memory_and_nothing_else(monkeypatch):
    model, whole = small(dropout=0.0), small(dropout=0.0).usual(images())
    monkeypatch.setattr("engine.methods.uncertainty.mc_dropout.PORTION", 2 * 12 * 12)
    torch.testing.assert_close(model.usual(images()), whole)
    torch.testing.assert_close(model.ask(images(), 2, 0)[:, 0], whole.softmax(dim=1))


def test_somebody_looking_does_not_change_the_training():
    losses = []
    for looks in (2, 6):
        params = McDropoutParams.make({"steps": 6}, "tiny")
        bench = Bench(Setup.make({"device": "cpu", "looks": looks}))
        model = METHOD.build(params, bench.facts(params))
        losses.append([float(report["loss"]) for report in drive(METHOD, model, params, bench)])
    assert losses[0] == losses[1]


def test_scenes_are_answered_pixel_by_pixel(segmented):
    model, reports, _ = segmented
    last = reports[-1]
    assert model.ask(torch.rand(2, 3, 64, 64), 2, 0).shape == (2, 2, 6, 64, 64)
    assert {"mean IoU", "epistemic borders", "epistemic interiors", "NLL", "AUROC"} <= set(last)
    assert 0 < last["epistemic borders"] < math.log(6)
    assert last["total"].shape == last["pictures"].shape[:1] + last["pictures"].shape[2:]
    assert last["total"].flatten(1).std(dim=1).min() > 0
    torch.testing.assert_close(last["total"], last["aleatoric"] + last["epistemic"], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("lens", METHOD.lenses, ids=lambda lens: lens.name)
def test_every_lens_answers_for_scenes_too(lens, segmented):
    model, _, sets = segmented
    bench = Bench(Setup.make({"device": "cpu"}, "tiny"), sets=sets)
    pictures = bench.data(SEGMENT["data"], "test").batch(torch.arange(2)).to("cpu").images
    answer = {}
    for answer in lens.answers(model, lens.params.make({}, "tiny"), pictures, bench):  # noqa: B007
        pass
    assert {name for exhibit in lens.exhibits for name in exhibit.names} <= set(answer)


@pytest.mark.parametrize("knobs", [{"task": "segment"}, {"data": "scenes:scene64s"}, {"data": "voc:/somewhere"}])
def test_data_that_do_not_suit_the_task_are_named(knobs):
    with pytest.raises(KnobError, match=r"to (segment|classify), name"):
        McDropoutParams.make(knobs)


def test_a_single_pass_is_refused():
    with pytest.raises(KnobError, match="passes"):
        McDropoutParams.make({"passes": 1})
