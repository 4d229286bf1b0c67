"""Momentum contrast: one step against the algorithm done by hand, the queue against a list, groups against a loop."""

import copy
import math
from functools import partial

import pytest
import tiny_runs
import torch
from tiny_runs import FACTS, SETS, first_images
from torch.nn import functional as F

from engine.bench import Bench, Setup
from engine.method import KnobError
from engine.methods.representation.moco import METHOD, SCHEDULES, VIEWS, MoCoParams

small, tiny_run = partial(tiny_runs.small, METHOD), partial(tiny_runs.tiny_run, METHOD)


def test_the_first_step_is_the_algorithm_by_hand():
    params, before, after, reports = tiny_run(steps=1, warmup=0, momentum=0.9)
    images, dice = first_images(METHOD, params)
    view = VIEWS["v2"](area=(params.crop, 1.0))
    one, two = view(images, dice), view(images, dice)
    key_net = copy.deepcopy(before.key).train()
    for follower, leader in zip(key_net.parameters(), before.query.parameters(), strict=True):
        follower.data = 0.9 * follower.data + 0.1 * leader.data
    queries, keys = before.query.train()(one), key_net(two).detach()
    losses = []
    for query, key in zip(queries, keys, strict=True):
        scores = [query @ key / params.temperature] + [query @ old / params.temperature for old in before.queue]
        losses.append(-scores[0] + torch.stack(scores).exp().sum().log())
    loss = torch.stack(losses).mean()
    loss.backward()
    assert reports[0]["loss"].item() == pytest.approx(loss.item(), rel=1e-5)
    assert reports[0]["chance"] == pytest.approx(math.log(17))
    # Keys enter the queue after they were sought in it, in the oldest places.
    torch.testing.assert_close(after.queue[: params.batch], keys)
    assert torch.equal(after.queue[params.batch :], before.queue[params.batch :])
    # SGD's first step is along the gradient and the weight decay.
    for new, old in zip(after.query.parameters(), before.query.parameters(), strict=True):
        step = params.lr * SCHEDULES["v2"](0, 1, 0) * (old.grad + params.weight_decay * old)
        torch.testing.assert_close(new, old - step, atol=1e-5, rtol=1e-4)


def test_nothing_flows_into_keys():
    _, _, model, _ = tiny_run()
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.key.parameters())
    assert not {id(each) for each in model.key.parameters()} & {id(each) for each in model.query.parameters()}


def test_the_key_network_follows_by_weights_and_keeps_its_own_statistics():
    _, before, still, _ = tiny_run(momentum=1.0)
    assert all(map(torch.equal, still.key.parameters(), before.key.parameters()))
    _, _, same, _ = tiny_run(momentum=0.0, steps=1)
    assert all(map(torch.equal, same.key.parameters(), before.query.parameters()))
    for model in (still, same):
        own, others = dict(model.key.named_buffers()), dict(model.query.named_buffers())
        assert any(not torch.equal(own[name], others[name]) for name in own if "running" in name)


def test_the_queue_is_a_ring():
    params, model = small(queue=24, batch=8, dim=4)
    shadow = model.queue.tolist()
    for step in range(7):
        keys = F.normalize(torch.randn(8, 4, generator=torch.Generator().manual_seed(step)), dim=1)
        model.enqueue(keys)
        for row in range(8):
            shadow[(8 * step + row) % 24] = keys[row].tolist()
        assert model.queue.tolist() == shadow
        assert model.pointer.item() == 8 * (step + 1) % 24
    torch.testing.assert_close(model.queue.norm(dim=1), torch.ones(24))
    assert {"queue", "pointer"} <= set(model.state_dict())
    assert params.queue == len(model.queue)


def test_groups_train():
    *_, reports = tiny_run(ghost_groups=4)
    assert all(math.isfinite(report["loss"]) for report in reports)


def test_keys_are_unit_vectors_and_versions_differ_by_their_head():
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    linear = {}
    for version in ("v1", "v2"):
        _, model = small(version=version)
        torch.testing.assert_close(model.query.eval()(images).norm(dim=1), torch.ones(3))
        linear[version] = sum(isinstance(part, torch.nn.Linear) for part in model.query.head)
    assert linear == {"v1": 1, "v2": 2}


def test_schedules():
    assert [SCHEDULES["v1"](step, 200, 40) for step in (0, 119, 120, 159, 160)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert [SCHEDULES["v2"](step, 200, 40) for step in (0, 20, 40, 120, 200)] == pytest.approx(
        [0, 0.5, 1, 0.5, 0], abs=1e-9
    )


def test_params_that_cannot_be_say_so():
    with pytest.raises(KnobError, match="queue 100 must be a multiple of the batch 64"):
        MoCoParams.make({"queue": 100, "batch": 64})
    for groups in (3, 64):
        with pytest.raises(KnobError, match=f"ghost_groups {groups} must divide the batch 64"):
            MoCoParams.make({"queue": 128, "batch": 64, "ghost_groups": groups})


def look(name, model, images, **knobs):
    lens = next(lens for lens in METHOD.lenses if lens.name == name)
    *_, answer = lens.answers(model, lens.params.make(knobs, "tiny"), images, Bench(Setup(device="cpu"), sets=SETS))
    return answer


def test_the_similarity_lens_plays_the_task():
    _, model = small()
    images = Bench(Setup(device="cpu"), sets=SETS).data("garments", "test").batch(torch.arange(4)).to("cpu").images
    answer = look("Similarity", model, images, temperature=0.5)
    query, key = model.query(answer["one"]), model.key(answer["two"])
    for row in range(4):
        own = (query[row] @ key[row]).item()
        others = [(query[row] @ old).item() for old in model.queue]
        assert answer["partners"][row].item() == pytest.approx(own, abs=1e-5)
        assert answer["similarity"][row, row].item() == pytest.approx(own, abs=1e-5)
        assert answer["keys_ahead"][row].item() == sum(other > own for other in others)
        assert answer["probability"][row].item() == pytest.approx(
            math.exp(own / 0.5) / (math.exp(own / 0.5) + sum(math.exp(other / 0.5) for other in others)), rel=1e-4
        )
    assert torch.equal(look("Similarity", model, images)["one"], look("Similarity", model, images)["one"])
    assert not torch.equal(look("Similarity", model, images, seed=1)["one"], answer["one"])


def test_the_map_shows_uncorrelated_components_with_their_share():
    _, model = small()
    answer = look("Map", model, None, count=30)
    first, second = (answer["map"] - answer["map"].mean(dim=0)).T
    assert (first @ second).abs() < 1e-4 * first.norm() * second.norm() + 1e-6
    assert (first @ first / (second @ second)).item() == pytest.approx(
        (answer["share"][0] / answer["share"][1]).item(), rel=1e-2
    )
    assert torch.equal(look("Map", model, None, count=30, across=2, up=1)["map"], answer["map"].flip(1))
    assert answer["classes"] == FACTS.classes or len(answer["classes"]) == 10


def test_unlabelled_colours():
    params, _, model, reports = tiny_run(data="photos:crops:40", size=32)
    assert "neighbours" not in reports[-1]
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert look("Neighbours", model, images)["nearest_1"].shape == (2, 3, 32, 32)
    assert params.size == 32
