"""DINO: one step against the loss done by hand, who follows whom, the switches, BYOL, and the lenses."""

import copy
import math
from functools import partial

import pytest
import tiny_runs
import torch
from tiny_runs import SETS, first_images
from torch.nn import functional as F

from engine.bench import Bench, Setup
from engine.data.subset import spread
from engine.methods.representation.dino import METHOD, DINOParams
from engine.metrics.readout import ASKED
from engine.params import KnobError

small, tiny_run = partial(tiny_runs.small, METHOD), partial(tiny_runs.tiny_run, METHOD)


def first_crops(params):
    images, dice = first_images(METHOD, params)
    return small(**params.model_dump())[1].crops(images, dice)


def same(one, two):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


@pytest.mark.parametrize("centre", ["mean", "sinkhorn"])
def test_the_first_step_is_the_algorithm_by_hand(centre):
    params, before, after, reports = tiny_run(steps=1, small=2, centre=centre)
    crops = first_crops(params)
    assert [crop.shape[-1] for crop in crops] == [32, 32, 16, 16]
    with torch.no_grad():
        student = [each / 0.1 for size in (crops[:2], crops[2:]) for each in before.student(torch.cat(size)).chunk(2)]
        teacher = before.teacher(torch.cat(crops[:2])).chunk(2)
    sharp = torch.cat(teacher) / params.first_temperature
    opinions = (sharp.softmax(dim=1) if centre == "mean" else equal_shares(sharp)).chunk(2)
    terms = [
        -(opinions[t] * student[s].log_softmax(dim=1)).sum(dim=1).mean() for t in range(2) for s in set(range(4)) - {t}
    ]
    assert reports[0]["loss"].item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-4)
    torch.testing.assert_close(after.centre, 0.1 * torch.cat(teacher).mean(dim=0))


def equal_shares(scores, iterations=3):
    """Every class, then every picture, given the same sum, in turn."""
    codes = scores.double().exp()
    for _ in range(iterations):
        codes = codes / codes.sum(dim=0)
        codes = codes / codes.sum(dim=1, keepdim=True)
    return codes.float()


def test_the_teacher_follows_and_stands_at_last():
    _, before, after, _ = tiny_run(steps=1, warmup=0, momentum=0.0)
    assert same(after.teacher, after.student)
    assert not same(after.student, before.student)
    _, before, after, _ = tiny_run(steps=1, warmup=0, momentum=0.75)
    for was, student, teacher in zip(
        before.teacher.parameters(), after.student.parameters(), after.teacher.parameters(), strict=True
    ):
        torch.testing.assert_close(teacher, 0.75 * was + 0.25 * student)
    _, before, after, _ = tiny_run(momentum=1.0)
    assert same(after.teacher, before.teacher)


def test_the_last_layer_stands_still_at_first():
    _, before, after, _ = tiny_run(still=99)
    assert torch.equal(after.student.head.directions, before.student.head.directions)
    assert not torch.equal(after.student.head.mlp[0].weight, before.student.head.mlp[0].weight)
    _, before, after, _ = tiny_run(still=0)
    assert not torch.equal(after.student.head.directions, before.student.head.directions)


def test_the_temperature_warms_up_in_a_straight_line():
    _, model = small(first_temperature=0.04, teacher_temperature=0.08, temperature_warmup=4)
    assert [model.temperature(step) for step in range(6)] == pytest.approx([0.04, 0.05, 0.06, 0.07, 0.08, 0.08])
    _, model = small(teacher_temperature=0.5, temperature_warmup=0)
    assert model.temperature(0) == 0.5


def test_without_centring_the_centre_stays_at_zero():
    _, _, after, _ = tiny_run(centre="none")
    assert not after.centre.any()


def test_entropies_are_those_of_the_teachers_opinions_of_test_pictures():
    _, _, model, reports = tiny_run()
    report = reports[-1]
    asked = spread(SETS["garments", "test", 32], ASKED)
    images = torch.cat([batch.images for batch in Bench(Setup(device="cpu")).chunks(asked)])
    with torch.no_grad():
        opinions = ((model.teacher(images) - model.centre) / model.params.teacher_temperature).softmax(dim=1)
    assert report["log K"] == math.log(8)
    assert 0 < report["entropy of a picture"].item() <= report["entropy of all"].item() <= math.log(8) + 1e-5
    whole = torch.special.entr(opinions.mean(dim=0)).sum()
    assert report["entropy of all"].item() == pytest.approx(whole.item(), rel=1e-4)


def test_byol_foretells_unit_features_of_the_teacher_by_a_predictor():
    params, before, after, reports = tiny_run(predict="features", steps=1, small=0, warmup=0)
    crops, net = first_crops(params), before.train()
    with torch.no_grad():
        told = net.predictor(net.student(torch.cat(crops))).chunk(2)
        given = net.teacher(torch.cat(crops)).chunk(2)
    by_hand = sum(2 - 2 * F.cosine_similarity(told[a], given[1 - a], dim=1).mean() for a in range(2)) / 2
    assert reports[0]["loss"].item() == pytest.approx(by_hand.item(), rel=1e-4)
    assert "entropy of a picture" not in reports[0]
    assert not same(after.predictor, before.predictor)


def test_its_switches_take_the_predictor_away_and_let_gradients_into_what_is_foretold():
    _, model = small(predict="features", predictor=False)
    assert not list(model.predictor.parameters())
    slopes = {}
    for stop in (True, False):
        params, model = small(predict="features", predictor=False, stop_gradient=stop, small=0)
        model.loss(first_crops(params), 0).backward()
        slopes[stop] = torch.cat([each.grad.flatten() for each in model.student.parameters()])
        assert all(each.grad is None for each in model.teacher.parameters())
    # At first student and teacher are one: each of two equal halves of the gradient flows only if it is let in.
    torch.testing.assert_close(slopes[False], 2 * slopes[True], rtol=1e-3, atol=1e-5)


def test_features_and_attention_are_the_teachers():
    _, _, model, _ = tiny_run(momentum=1.0)
    images = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(model.features(images), model.teacher.backbone(images))
        weights = model.attention(images)
    assert [each.shape for each in weights] == [(2, 4, 17, 17)] * model.params.depth
    torch.testing.assert_close(weights[0].sum(dim=3), torch.ones(2, 4, 17))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"small_crop": 0.5, "crop": 0.4}, "small_crop 0.5 is more than crop 0.4"),
        ({"small_size": 14}, "patch 8 does not divide the small_size of 14"),
        ({"size": 30}, "patch 8 does not divide the size of 30"),
        ({"size": 28, "small_size": 14, "patch": 7}, "patch 7 is not 2, 4, 8"),
        ({"heads": 3}, "heads 3 does not divide the width of 8"),
        ({"classes": 1}, "classes: 1 is out of range"),
        ({"teacher_temperature": 0}, "teacher_temperature: 0 is out of range"),
    ],
)
def test_knobs_that_do_not_fit_are_said(values, said):
    with pytest.raises(KnobError, match=said):
        DINOParams.make(values, "tiny")


def look(name, model, images=None, **knobs):
    lens = next(lens for lens in METHOD.lenses if lens.name == name)
    *_, answer = lens.answers(model, lens.params.make(knobs, "tiny"), images, Bench(Setup(device="cpu"), sets=SETS))
    return answer


def test_the_collapse_lab_tells_both_collapses():
    _, model = small()
    images = torch.rand(3, 1, 32, 32)
    sharp = look("Collapse", model, images, centre="of these", teacher_temperature=0.005)
    flat = look("Collapse", model, images, centre="none", teacher_temperature=10.0)
    shifted = copy.deepcopy(model)
    shifted.centre -= torch.arange(8.0)  # as if the last class had taken everything
    alike = look("Collapse", shifted, images, teacher_temperature=0.04)
    log = math.log(8)
    assert flat["nats"].tolist() == pytest.approx([log] * 3, abs=1e-3)
    assert alike["nats"].tolist() == pytest.approx([0, 0, log], abs=1e-3)
    assert sharp["nats"][0] < sharp["nats"][1]
    assert (alike["teacher's class"] == 8).all()
    for answer in (sharp, flat, alike):
        torch.testing.assert_close(answer["from even"] + answer["teacher's entropy"], torch.full((3,), log))
        assert answer["share of a class"][:, 1].sum().item() == pytest.approx(1)
        assert (answer["loss"] >= 0).all()
    ends = sharp["of a picture"][:, 1]
    assert (ends.diff() >= -1e-5).all(), "the higher the temperature, the less decided"


def test_networks_without_classes_or_attention_say_so():
    images = torch.rand(2, 1, 32, 32)
    _, byol = small(predict="features")
    with pytest.raises(ValueError, match="foretells features, not classes"):
        look("Collapse", byol, images)
    _, convolutions = small(backbone="small")
    with pytest.raises(ValueError, match="small has no attention to look at; take one trained with vit"):
        look("Attention heads", convolutions, images[:1])
