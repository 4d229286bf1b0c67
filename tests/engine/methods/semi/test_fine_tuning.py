"""Fine-tuning: what the network begins as, what stays frozen, what the loss is at first, and what it learns at all."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from engine.bench import Bench, Setup
from engine.checkpoint import Checkpoint, write_checkpoint
from engine.data.base import Facts
from engine.data.subset import balanced, labels_of
from engine.method import drive
from engine.methods.semi import fine_tuning
from engine.methods.semi.fine_tuning import METHOD, FineTuningParams, begin_as
from engine.nets.classifier import Backbone
from engine.trained import backbone_and_head, features_of

FACTS, SETS = Facts(1, 28, tuple("abcdefghij")), {}
RANDOM = {"start": "random", "kept": 0, "width": 4}
STARTS = [f"representation.{name}" for name in ("simclr", "moco", "swav", "relic")]


def bench(seed=0, sets=SETS, looks=2):
    return Bench(Setup.make({"device": "cpu", "seed": seed, "looks": looks}), sets=sets)


def built(facts=FACTS, **values):
    return METHOD.build(FineTuningParams.make(values, "tiny"), facts)


def ran(own=None, **values):
    """The model before and after a short run, and its reports."""
    params, own = FineTuningParams.make(values, "tiny"), own or bench()
    model = METHOD.build(params, own.facts(params))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    return before, model, list(drive(METHOD, model, params, own))


def relabelled(labels, split="train"):
    """The sets with other labels of one split."""
    own = bench()
    data = own.data("garments", split, 28).subset(torch.arange(len(own.data("garments", split, 28))))
    data.rows.labels.copy_(labels(data.rows.labels))
    return {**SETS, ("garments", split, 28): data}


def test_the_first_loss_is_that_of_not_knowing_at_all():
    for values in ({}, {"smoothing": 0.0}, RANDOM):
        assert ran(**values)[2][0]["loss"].item() == pytest.approx(math.log(10), rel=1e-5)


def test_the_loss_is_the_equation_written_out():
    logits, truth, smoothing = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), [0, 3, 1, 1, 2], 0.1
    wanted = 0.0
    for row, label in zip(logits.log_softmax(dim=1).tolist(), truth, strict=True):
        wanted -= sum(((1 - smoothing) * (c == label) + smoothing / 4) * each for c, each in enumerate(row)) / 5
    assert F.cross_entropy(logits, torch.tensor(truth), label_smoothing=smoothing).item() == pytest.approx(wanted)


PLAIN = RANDOM | {"steps": 80, "batch": 64, "shift": 0.0, "mirror": 0.0, "smoothing": 0.0, "width": 8}


def test_it_learns_sixty_four_pictures_by_heart():
    *_, reports = ran(labels=64, **PLAIN)
    assert reports[-1]["on the labelled"] == 1
    assert 0.5 < reports[-1]["accuracy"] < 0.9


def test_what_shuffled_labels_teach_is_chance_elsewhere():
    dice = torch.Generator().manual_seed(0)
    sets = relabelled(lambda labels: labels[torch.randperm(len(labels), generator=dice)])
    *_, reports = ran(bench(sets=sets), labels=64, **PLAIN)
    assert reports[-1]["on the labelled"] > 0.8
    assert reports[-1]["accuracy"] < 0.25, "0.1 and luck: the test above has more than half"


def test_test_labels_are_only_asked():
    one, other = (
        ran(bench(sets=sets))[1].state_dict() for sets in (SETS, relabelled(lambda labels: labels.roll(1), "test"))
    )
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_labels_of_pictures_that_were_not_drawn_teach_nothing(monkeypatch):
    places = balanced(labels_of(bench().data("garments", "train", 28)), 20, torch.Generator().manual_seed(3))
    monkeypatch.setattr(fine_tuning, "balanced", lambda *_: places)
    rest = torch.ones(10_000, dtype=torch.bool).index_fill(0, places, False)
    sets = relabelled(lambda labels: labels.where(~rest, labels.roll(1)))
    one, other = (ran(bench(sets=each))[1].state_dict() for each in (SETS, sets))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("name", STARTS)
def test_it_begins_with_the_features_of_its_start(name):
    images = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    trained, features = features_of(name, FACTS)
    model = built(start=name, kept=1)
    begin_as(model, name)
    model.eval()
    assert torch.equal(model.backbone(images), features(images))
    net = next(each for each in trained.modules() if isinstance(getattr(each, "backbone", None), Backbone))
    middle = list(net.head.children())[: next(i for i, each in enumerate(net.head) if isinstance(each, nn.ReLU)) + 1]
    torch.testing.assert_close(model.features(images), nn.Sequential(*middle)(features(images)), atol=1e-5, rtol=1e-4)
    assert torch.equal(model(images), torch.zeros(6, 10))


def test_what_is_frozen_stays_as_it_is_to_the_last_bit():
    _, model, _ = ran(frozen=True)
    fresh = built()
    begin_as(fresh, "representation.simclr")
    after, start = model.state_dict(), fresh.state_dict()
    same = {name for name, value in start.items() if torch.equal(value, after[name])}
    assert set(start) - same == {"head.weight", "head.bias"}
    tuned = ran()[1].state_dict()
    assert not any(torch.equal(tuned[name], start[name]) for name in start if not name.startswith("head"))


def test_only_what_was_pre_trained_learns_more_slowly():
    """Adam's first steps are about as long as the learning rate, whatever the gradient."""
    rates = {}
    for slower in (1.0, 0.1):
        _, model, _ = ran(slower=slower, steps=2, weight_decay=0.0)
        fresh = built()
        begin_as(fresh, "representation.simclr")
        moved = {name: (value - fresh.state_dict()[name]).abs().max() for name, value in model.state_dict().items()}
        rates[slower] = moved["backbone.net.stem.0.weight"].item(), moved["head.weight"].item()
    assert rates[0.1][0] == pytest.approx(rates[1.0][0] / 10, rel=0.3)
    assert rates[0.1][1] == pytest.approx(rates[1.0][1], rel=0.3)
    one, other = (ran(**RANDOM, slower=slower)[1].state_dict() for slower in (1.0, 0.1))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_same_seed_gives_the_same_weights_and_another_one_others():
    one, same, other = (ran(bench(seed))[1].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert not torch.equal(one["head.weight"], other["head.weight"])


def test_all_labels_are_those_that_there_are():
    own = bench(sets=relabelled(lambda labels: labels.where(torch.arange(len(labels)) % 100 == 0, -1)))
    count = int((labels_of(own.data("garments", "train", 28)) >= 0).sum())
    assert count == 100
    assert ran(own, **RANDOM, labels=0)[2][-1]["loss"].isfinite()
    with pytest.raises(ValueError, match="labels: garments has 100 labelled pictures, got 101; ask for fewer, or 0"):
        ran(own, **RANDOM, labels=101)


def test_it_goes_on_from_a_checkpoint_file_and_opens_without_it(tmp_path):
    source = features_of("representation.simclr", FACTS)[0]
    path = tmp_path / "mine.safetensors"
    values = source.params.model_dump(mode="json")
    write_checkpoint(path, Checkpoint("representation.simclr", values, FACTS, 7, source.state_dict()))
    mine, shipped = ran(start=str(path))[1], ran()[1].state_dict()
    assert all(torch.equal(value, shipped[name]) for name, value in mine.state_dict().items())
    path.unlink()
    built(start=str(path)).load_state_dict(mine.state_dict())


def test_one_that_was_tuned_can_be_a_start_itself(tmp_path):
    _, model, _ = ran(kept=0)
    path = tmp_path / "tuned.safetensors"
    write_checkpoint(path, Checkpoint("semi.fine_tuning", model.params.model_dump(), FACTS, 3, model.state_dict()))
    body, _ = backbone_and_head(str(path), FACTS)
    assert torch.equal(body.state_dict()["net.stem.0.weight"], model.state_dict()["backbone.net.stem.0.weight"])


@pytest.mark.parametrize(
    ("values", "facts", "says"),
    [
        ({}, Facts(1, 28), "data: garments has fewer than two classes; choose a labelled source"),
        ({"labels": 9}, FACTS, "labels: 9 are too few for 10 classes; give each one at least, or 0 for all"),
    ],
)
def test_what_cannot_be_built_is_said(values, facts, says):
    with pytest.raises(ValueError, match=says):
        built(facts, **values)


@pytest.mark.parametrize(
    ("values", "facts", "says"),
    [
        ({"start": "simclr"}, FACTS, "start: 'simclr' is no method with a trained demo .* name one, or random"),
        ({"start": "representation.simclr"}, Facts(3, 28, ("a", "b")), "start: .* takes pictures of 1 x 28 x 28 and"),
        ({"start": "representation.simclr"}, Facts(1, 32, ("a", "b")), "these are 1 x 32 x 32; choose other data"),
        (
            {"start": "representation.dino"},
            Facts(1, 32, ("a", "b")),
            "start: representation.dino is a network of another shape than",
        ),
        ({"start": "representation.mae"}, FACTS, "begin as representation.simclr, moco, swav or relic, or at random"),
        ({"width": 8}, FACTS, "start: .* is a network of another shape than backbone small, width 8; set both"),
        ({"backbone": "resnet18"}, FACTS, "start: representation.simclr is a network of another shape"),
        ({"kept": 2}, FACTS, "kept: the head of representation.simclr has 2 layers, .* keep 1 or fewer, got 2"),
        ({"start": "augmentation.randaugment"}, FACTS, "kept: .* has 1 layers, .* keep 0 or fewer, got 1"),
    ],
)
def test_what_it_cannot_begin_as_is_said(values, facts, says):
    params = FineTuningParams.make(values, "tiny")
    with pytest.raises(ValueError, match=says):
        begin_as(METHOD.build(params, facts), params.start)
