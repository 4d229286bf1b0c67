"""Fine-tuning under the eye: where it begins, which layers learn how fast, and what is left alone."""

import math

import pytest
import torch
from tiny_networks import bench, model

from engine.lenses.tuned import FINE_TUNE, STARTS, stack
from engine.ops.decay import layerwise_groups


def looked(net, **knobs):
    usual = {"labels": 10, "steps": 12, "lr": 5e-3}
    return list(FINE_TUNE.answers(net, FINE_TUNE.params.make(usual | knobs), None, bench()))


def curve(report, name):
    return report[name][:, 1].tolist()


def test_it_begins_as_the_linear_probe_and_with_a_blank_head_at_chance():
    net = model(depth=2, width=16)
    reports = looked(net, start="checkpoint")
    assert curve(reports[0], STARTS[0]) == [pytest.approx(reports[0]["linear probe"][0, 1].item())]
    assert len(reports[0]["loss from the checkpoint"]) == 0
    blank = looked(net, head="zeros", smoothing=0.3)[-1]
    for name in STARTS:
        assert curve(blank, f"loss {name}")[0] == pytest.approx(math.log(3), rel=1e-5)
        assert len(blank[name]) == 13


def test_it_learns_and_the_model_itself_does_not_change():
    net = model(depth=2, width=16)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    last = looked(net, head="zeros", steps=60, smoothing=0.0)[-1]
    for name in STARTS:
        losses = curve(last, f"loss {name}")
        assert sum(losses[-10:]) < 0.8 * sum(losses[:10]), name
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(each.requires_grad for each in net.parameters())
    assert all(torch.equal(one[STARTS[0]], two[STARTS[0]]) for one, two in
               zip(looked(net), looked(net), strict=True)), "the same knobs, the same course"  # fmt: skip


@pytest.mark.parametrize("id", ["representation.mae", "representation.simclr"])
def test_frozen_layers_stay_where_they_were(id):
    last = looked(model(id), frozen=True, start="checkpoint")[-1]
    assert last["moved"].abs().max() == 0
    assert last["rate"][:-1].abs().max() == 0
    assert last["rate"][-1] == pytest.approx(5e-3)
    free = looked(model(id), start="checkpoint")[-1]
    assert (free["moved"] > 0).all()


def test_each_layer_learns_slower_than_the_next_by_the_factor():
    net = model(depth=3, width=16)
    last = looked(net, layer_decay=0.65, start="checkpoint")[-1]
    # He et al. 2022: lr * decay^(L + 1 - l); patches are layer 0, block i is layer i, norm and head layer L + 1.
    expected = [5e-3 * 0.65 ** (3 + 1 - layer) for layer in range(5)]
    assert last["layer"] == ["patches", "block 1", "block 2", "block 3", "head"]
    assert last["rate"].tolist() == pytest.approx(expected)
    scratch = looked(net, layer_decay=0.65, start="random")[-1]
    assert scratch["rate"].tolist() == pytest.approx([5e-3] * 5)


def test_every_parameter_of_the_features_is_in_one_group_at_its_layers_rate():
    net = model(depth=3, width=16)
    layers = stack(net)
    groups = layerwise_groups(list(layers.values()), 0.1, 0.5, 0.05)
    rate, pull = {}, {}
    for group in groups:
        for each in group["params"]:
            assert id(each) not in rate, "a parameter stands in one group"
            rate[id(each)], pull[id(each)] = group["lr"], group["weight_decay"]
    used = torch.autograd.grad(net.features(torch.rand(2, 1, 28, 28)).sum(), list(net.parameters()), allow_unused=True)
    for (name, each), gradient in zip(net.named_parameters(), used, strict=True):
        assert (gradient is not None) == (id(each) in rate), name
        if gradient is None:
            continue
        layer = int(name.split(".")[1]) + 1 if name.startswith("blocks.") else 4 if name.startswith("norm.") else 0
        assert rate[id(each)] == pytest.approx(0.1 * 0.5 ** (4 - layer)), name
        assert pull[id(each)] == (0.05 if each.ndim > 1 else 0.0), name


def test_a_decay_that_cannot_be_is_named():
    with pytest.raises(ValueError, match="decay: expected above 0 and at most 1, got 0"):
        layerwise_groups([], 0.1, 0.0, 0.0)


def test_starts_can_be_followed_alone():
    alone, both = looked(model(), start="random")[-1], looked(model(), start="both")[-1]
    assert torch.equal(alone[STARTS[1]], both[STARTS[1]])
    assert len(alone[STARTS[0]]) == 0
