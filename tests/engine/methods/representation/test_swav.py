"""SwAV: one step against the loss done by hand, the queue, the prototypes, the switch that lets all collapse."""

from functools import partial

import pytest
import tiny_runs
import torch
from tiny_runs import SETS, first_images
from torch.nn import functional as F

from engine.bench import Bench, Setup
from engine.methods.representation.swav import METHOD
from engine.ops.sinkhorn import sinkhorn

small, tiny_run = partial(tiny_runs.small, METHOD), partial(tiny_runs.tiny_run, METHOD)


def first_crops(params):
    """The crops of the first step."""
    images, dice = first_images(METHOD, params)
    return small(**params.model_dump())[1].crops(images, dice)


def test_the_first_step_is_the_algorithm_by_hand():
    params, before, _, reports = tiny_run(steps=1, warmup=0)
    crops, net = first_crops(params), before.train()
    with torch.no_grad():
        z = [*net.project(torch.cat(crops[:2])).chunk(2), *net.project(torch.cat(crops[2:])).chunk(2)]
        scores = [one @ F.normalize(net.prototypes, dim=1).T for one in z]
    total = []
    for a in range(2):
        q = sinkhorn(scores[a], params.epsilon, 3)
        for v in set(range(4)) - {a}:
            total.append(-(q * (scores[v] / params.temperature).log_softmax(dim=1)).sum(dim=1).mean())
    assert reports[0]["loss"].item() == pytest.approx(torch.stack(total).mean().item(), rel=1e-4)


def test_prototypes_stand_still_at_first_and_are_unit_vectors():
    _, before, after, _ = tiny_run(still=99)
    torch.testing.assert_close(after.prototypes, F.normalize(before.prototypes, dim=1))
    _, before, after, _ = tiny_run(still=0, warmup=0)
    assert not torch.allclose(after.prototypes, before.prototypes)


def test_the_queue_keeps_the_latest_of_each_crop_and_shares_in_the_assignment():
    params, model = small(queue=12, batch=8)
    first = [F.normalize(torch.randn(8, params.dim), dim=1) for _ in range(2)]
    before = model.queue.clone()
    model.enqueue(first[0], 0)
    assert torch.equal(model.queue[0], torch.cat((first[0], before[0]))[:12])
    assert torch.equal(model.queue[1], before[1])
    alone, together = (model.codes(first[1], 0, with_queue) for with_queue in (False, True))
    everyone = torch.cat((first[1], model.queue[0]))
    torch.testing.assert_close(together, sinkhorn(model.scores(everyone), params.epsilon, 3)[:8])
    assert not torch.allclose(alone, together)
    *_, reports = tiny_run(queue=12, queue_from=0.0)
    assert all(report["loss"].isfinite() for report in reports)


def test_by_softmax_codes_are_those_of_each_picture_alone():
    params, model = small(assign="softmax")
    z = F.normalize(torch.randn(8, params.dim), dim=1)
    torch.testing.assert_close(model.codes(z, 0, False), (model.scores(z) / params.epsilon).softmax(dim=1))


def look(name, model, **knobs):
    lens = next(lens for lens in METHOD.lenses if lens.name == name)
    *_, answer = lens.answers(model, lens.params.make(knobs, "tiny"), None, Bench(Setup(device="cpu"), sets=SETS))
    return answer


def test_groups_are_counted_by_the_nearest_prototype():
    _, model = small()
    answer = look("Groups", model, bank=40, shown=4)
    assert int(answer["pictures"].sum()) == 40
    assert answer["share of pictures"][:, 1].sum().item() == pytest.approx(1)
    assert answer["pictures"].tolist() == sorted(answer["pictures"].tolist(), reverse=True)
    with pytest.raises(ValueError, match="at most 3 can be left out, got 4"):
        look("Groups", model, after=4)


def test_iterations_bring_the_shares_nearer_to_each_other():
    _, model = small()
    answer = look("Sharing out", model)
    spread = [answer[f"share, {name}"][:, 1].std().item() for name in ("none", "1 iteration", "30 iterations")]
    assert spread == sorted(spread, reverse=True)
    assert all(
        answer[f"share, {name}"][:, 1].sum().item() == pytest.approx(1, abs=1e-4) for name in ("none", "3 iterations")
    )
