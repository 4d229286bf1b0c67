"""MoCo v3: one step against the algorithm done by hand, and each of its switches."""

import copy
import math
from functools import partial

import pytest
import tiny_runs
import torch
from tiny_runs import first_images
from torch import nn

from engine.augment.byol import byol
from engine.method import KnobError
from engine.methods.representation.moco_v3 import METHOD, MoCoV3Params, found, momentum_at
from engine.nets.transformer import first_layer

small, tiny_run = partial(tiny_runs.small, METHOD), partial(tiny_runs.tiny_run, METHOD)


def contrast(queries, keys, temperature):
    """The equation, query by query."""
    losses = []
    for i, query in enumerate(queries):
        scores = torch.stack([nn.functional.cosine_similarity(query, key, dim=0) / temperature for key in keys])
        losses.append(scores.exp().sum().log() - scores[i])
    return 2 * temperature * torch.stack(losses).mean()


@pytest.mark.parametrize("values", [{}, {"symmetric": False}, {"predictor": False}, {"backbone": "small"}])
def test_the_first_step_is_the_algorithm_by_hand(values):
    params, before, after, reports = tiny_run(steps=1, warmup=0, momentum=0.9, weight_decay=0.0, **values)
    images, dice = first_images(METHOD, params)
    one, two = (view(images, dice) for view in byol(area=(params.crop, 1.0)))
    before.train()
    pairs = [(before.predictor(before.query(one)), two)]
    if params.symmetric:
        pairs.append((before.predictor(before.query(two)), one))
    key_net = copy.deepcopy(before.key)
    for follower, leader in zip(key_net.parameters(), before.query.parameters(), strict=True):
        follower.data = 0.9 * follower.data + 0.1 * leader.data
    loss = sum(contrast(queries, key_net(view), params.temperature) for queries, view in pairs)
    loss.backward()
    assert reports[0]["loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    assert reports[0]["chance"] == pytest.approx(2 * len(pairs) * params.temperature * math.log(params.batch))
    # AdamW's first step is lr along the sign of the gradient, wherever this is not nearly 0.
    for (name, new), old in zip(after.query.named_parameters(), before.query.parameters(), strict=True):
        if old.grad is not None and new.requires_grad and "proj.bias" not in name:
            clear = old.grad.abs() > 1e-4
            torch.testing.assert_close((new - old)[clear], -params.lr * old.grad.sign()[clear], atol=1e-5, rtol=1e-2)


def test_nothing_flows_into_keys_and_they_have_no_predictor():
    _, _, model, _ = tiny_run()
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.key.parameters())
    assert not {id(each) for each in model.key.parameters()} & {id(each) for each in model.query.parameters()}
    assert {name.split(".")[0] for name, _ in model.key.named_parameters()} == {"backbone", "head"}
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == {"query", "key", "predictor"}
    assert not list(small(predictor=False)[1].predictor.parameters())


def test_the_key_network_follows_by_weights_and_keeps_its_own_statistics():
    _, before, still, _ = tiny_run(momentum=1.0)
    assert all(map(torch.equal, still.key.parameters(), before.key.parameters()))
    _, _, same, _ = tiny_run(momentum=0.0, rise=False, steps=1)
    assert all(map(torch.equal, same.key.parameters(), before.query.parameters()))
    for model in (still, same):
        own, others = dict(model.key.named_buffers()), dict(model.query.named_buffers())
        assert any(not torch.equal(own[name], others[name]) for name in own if "running" in name)


def test_the_momentum_rises_to_one_by_a_cosine():
    params = MoCoV3Params.make({"steps": 200, "momentum": 0.96})
    expected = [1 - 0.04 * (1 + math.cos(math.pi * step / 200)) / 2 for step in (0, 50, 100, 200)]
    assert [momentum_at(step, params) for step in (0, 50, 100, 200)] == pytest.approx(expected)
    assert (momentum_at(0, params), momentum_at(200, params)) == (pytest.approx(0.96), 1.0)
    assert momentum_at(150, MoCoV3Params.make({"steps": 200, "momentum": 0.96, "rise": False})) == pytest.approx(0.96)
    *_, reports = tiny_run(momentum=0.5, steps=2)
    assert [report["momentum"] for report in reports] == pytest.approx([0.5, 0.75])


@pytest.mark.parametrize(
    ("backbone", "stem"), [("vit", "patch"), ("vit", "convolutional"), ("small", "patch"), ("resnet10t", "patch")]
)
def test_a_frozen_first_layer_stays_bit_for_bit_and_tells_its_gradient(backbone, stem):
    _, before, after, reports = tiny_run(backbone=backbone, stem=stem, freeze_patches=True, weight_decay=1.0, lr=0.1)
    assert all(map(torch.equal, after.first.parameters(), before.first.parameters()))
    assert not torch.equal(after.query.head[0].weight, before.query.head[0].weight)
    kept = first_layer(after.key.backbone)
    assert all(map(torch.equal, kept.parameters(), before.first.parameters()))
    assert all(report["gradient"] > 0 for report in reports)


def test_the_gradient_is_of_one_step_not_of_all():
    """At a learning rate too small to move anything, frozen and learned first layers have the same gradients."""
    told = []
    for freeze in (True, False):
        *_, reports = tiny_run(freeze_patches=freeze, lr=1e-6, weight_decay=0.0)
        told.append([report["gradient"].item() for report in reports])
    assert told[0] == pytest.approx(told[1], rel=1e-2)


def test_a_first_layer_that_learns_moves():
    _, before, after, _ = tiny_run(freeze_patches=False)
    assert not any(map(torch.equal, after.first.parameters(), before.first.parameters()))


@pytest.mark.parametrize(("backbone", "head", "predictor"), [("vit", 3, True), ("small", 2, False)])
def test_heads_are_those_of_the_paper(backbone, head, predictor):
    _, model = small(backbone=backbone)
    linear = [part for part in model.query.head if isinstance(part, nn.Linear)]
    assert len(linear) == head
    assert all(part.bias is None for part in linear)
    assert not model.query.head[-1].affine
    assert sum(isinstance(part, nn.Linear) for part in model.predictor) == 2
    assert isinstance(model.predictor[-1], nn.BatchNorm1d) == predictor


def test_what_is_found_is_counted():
    key = torch.eye(4)
    assert found(key[[0, 1, 3, 2]], key) == 0.5
    assert found(key, key) == 1


def test_attention_is_told_of_a_transformer_alone():
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    _, model = small(depth=2)
    maps = model.attention(images)
    assert [tuple(each.shape) for each in maps] == [(2, 2, 17, 17)] * 2
    torch.testing.assert_close(maps[0].sum(dim=3), torch.ones(2, 2, 17))
    with pytest.raises(ValueError, match="backbone: small has no attention to look at; take one trained with vit"):
        small(backbone="small")[1].attention(images)


def test_params_that_cannot_be_say_so():
    with pytest.raises(KnobError, match="patch 5 does not divide the size of 32; choose a divisor"):
        MoCoV3Params.make({"patch": 5})
    with pytest.raises(KnobError, match="heads 5 does not divide the width of 64; choose a divisor"):
        MoCoV3Params.make({"heads": 5})
    with pytest.raises(KnobError, match="patch 7 is not 2, 4, 8 or another power of 2, as a convolutional stem halves"):
        MoCoV3Params.make({"patch": 7, "size": 28})
    assert MoCoV3Params.make({"patch": 7, "size": 28, "stem": "patch"}).patch == 7
    assert MoCoV3Params.make({"patch": 5, "heads": 5, "backbone": "small"}).backbone == "small"


def test_unlabelled_colours():
    *_, reports = tiny_run(data="photos:crops:40", size=32, patch=8)
    assert "neighbours" not in reports[-1]
    assert math.isfinite(reports[-1]["loss"])
