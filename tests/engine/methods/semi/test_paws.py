"""PAWS: the loss by hand, what a step sees, what each switch takes away, and who votes in the lens."""

import math

import pytest
import torch
from side_by_side import on_ranks
from torch.nn import functional as F

from engine.bench import Bench, Setup
from engine.data.base import Facts
from engine.data.subset import labels_of
from engine.method import drive
from engine.methods.semi import paws
from engine.methods.semi.paws import METHOD, PAWSParams, paws_loss

FACTS = Facts(1, 28, tuple("abcdefghij"))
SETS = {}


def bench():
    return Bench(Setup.make({"device": "cpu"}, "tiny"), sets=SETS)


def tiny_run(**values):
    params, own = PAWSParams.make(values, "tiny"), bench()
    model = METHOD.build(params, own.facts(params))
    return params, model, list(drive(METHOD, model, params, own))


def test_the_loss_is_swapped_agreement_less_the_entropy_of_the_mean():
    dice = torch.Generator().manual_seed(0)
    one, two = (torch.rand(6, 4, generator=dice).softmax(dim=1) for _ in range(2))
    sharp = [(rows**4) / (rows**4).sum(dim=1, keepdim=True) for rows in (one, two)]
    agree = sum(
        -(wanted[i] * told[i].log()).sum().item()
        for told, wanted in ((one, sharp[1]), (two, sharp[0]))
        for i in range(6)
    )
    mean = torch.cat(sharp).mean(dim=0)
    entropy = -(mean * mean.log()).sum().item()
    loss, told = paws_loss(one, two, 0.25, even=True)
    assert loss.item() == pytest.approx(agree / 12 - entropy, rel=1e-5)
    assert told.item() == pytest.approx(entropy, rel=1e-5)
    assert paws_loss(one, two, 0.25, even=False)[0].item() == pytest.approx(agree / 12, rel=1e-5)
    torch.testing.assert_close(paws_loss(two, one, 0.25, True)[0], loss)


def test_all_in_one_class_is_worst_where_classes_are_to_be_even():
    sure = torch.full((8, 4), 1e-6)
    collapsed, even = sure.clone(), sure.clone()
    collapsed[:, 0] = even[torch.arange(8), torch.arange(8) % 4] = 1
    assert paws_loss(collapsed, collapsed, 0.25, True)[0].item() == pytest.approx(0, abs=1e-3)
    assert paws_loss(even, even, 0.25, True)[0].item() == pytest.approx(-math.log(4), abs=1e-3)


def test_the_labelled_pictures_are_kept_with_their_labels_and_places():
    params, model, reports = tiny_run()
    data = bench().data("garments", "train", 28)
    assert torch.equal(model.support_labels, labels_of(data)[model.support_places])
    assert torch.bincount(model.support_labels).tolist() == [params.labelled] * 10
    images = data.batch(model.support_places).to("cpu").images
    torch.testing.assert_close(model.eval().project(images), model.support, atol=1e-5, rtol=1e-4)
    assert reports[-1]["share guessed"].sum().item() == pytest.approx(1, rel=1e-4)


def test_labels_of_other_pictures_are_not_learned_from(monkeypatch):
    """With the same labelled pictures chosen, others' labels change nothing but what is said about them."""
    data, drawn = bench().data("garments", "train", 28), paws.balanced
    places = drawn(labels_of(data), 30, torch.Generator().manual_seed(0))
    monkeypatch.setattr(
        paws, "balanced", lambda labels, *rest: places if len(labels) == len(data) else drawn(labels, *rest)
    )
    losses = []
    for other in (False, True):
        hidden = data.subset(torch.arange(len(data)))
        if other:
            rest = torch.isin(torch.arange(len(data)), places, invert=True)
            hidden.rows.labels[rest] = hidden.rows.labels[rest].roll(1)
        own = Bench(Setup.make({"device": "cpu"}, "tiny"), sets={**SETS, ("garments", "train", 28): hidden})
        params = PAWSParams.make({}, "tiny")
        reports = list(drive(METHOD, METHOD.build(params, own.facts(params)), params, own))
        losses.append([report["loss"].item() for report in reports])
    assert losses[0] == losses[1]


def test_from_labels_alone_other_pictures_are_not_seen():
    *_, reports = tiny_run(learn="labelled")
    assert all("guessed right" not in report for report in reports)
    assert all(report["loss"].isfinite() for report in reports)


def test_the_lens_tells_who_votes():
    _, model, _ = tiny_run()
    images = bench().data("garments", "test").batch(torch.arange(4)).to("cpu").images
    lens = METHOD.lenses[0]
    (answer,) = lens.answers(model, lens.params.make({"temperature": 0.1, "picture": 2}, "tiny"), images, bench())
    told = model(images).exp()
    torch.testing.assert_close(answer["probability"], told[1], atol=1e-5, rtol=1e-4)
    z = F.normalize(model.project(images), dim=1) @ F.normalize(model.support, dim=1).T
    first = bench().data("garments", "train", 28).batch(model.support_places[z.argmax(dim=1)]).to("cpu").images
    assert torch.equal(answer["nearest_1"], first)
    with pytest.raises(ValueError, match="there are 4 pictures, got 9"):
        list(lens.answers(model, lens.params.make({"picture": 9}), images, bench()))


def seen_supports():
    """What views are compared with in the first step, and the labels of it."""
    params, own = PAWSParams.make({}, "tiny"), Bench(Setup.make({"device": "cpu"}, "tiny"))
    model, seen = METHOD.build(params, own.facts(params)), []
    take_for, model.take_for = model.take_for, lambda z, *voters: seen.append(voters[:2]) or take_for(z, *voters)
    next(drive(METHOD, model, params, own))
    return [rows.detach() for rows in seen[0]]


@pytest.mark.slow
def test_ranks_vote_with_the_supports_of_all(tmp_path):
    params = PAWSParams.make({}, "tiny")
    (one, labels), (other, same) = on_ranks(tmp_path, seen_supports)
    assert one.shape == (2 * params.supports * 10, params.dim)
    assert torch.equal(one, other)
    assert torch.equal(labels, same)
    assert torch.bincount(labels).tolist() == [2 * params.supports] * 10


def test_a_source_without_classes_is_refused():
    with pytest.raises(ValueError, match="fewer than two classes"):
        METHOD.build(PAWSParams.make({}, "tiny"), Facts(1, 28, ()))
