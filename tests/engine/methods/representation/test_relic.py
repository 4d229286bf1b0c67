"""ReLICv2: one step against the algorithm by hand, the network that follows, the crops, the lenses."""

import math
from functools import partial

import pytest
import tiny_runs
import torch
from tiny_runs import first_images

from engine.augment.background import OtherBackground
from engine.losses.invariance import candidates
from engine.methods.representation.relic import METHOD, ReLICParams
from engine.params import KnobError

small, tiny_run = partial(tiny_runs.small, METHOD), partial(tiny_runs.tiny_run, METHOD)


@pytest.mark.parametrize("values", [{}, {"negatives": 3, "large": 3, "small": 2, "alpha": 0.5, "beta": 2.0}])
def test_the_first_step_is_the_algorithm_by_hand(values):
    params, net, after, reports = tiny_run(steps=1, warmup=0, **values)
    images, dice = first_images(METHOD, params)
    crops = net.crops(images, dice)
    columns = candidates(params.batch, params.negatives or params.batch - 1, dice)
    net.train()
    with torch.no_grad():
        parts = (crops[: params.large], crops[params.large :])
        online = [row for part in parts for row in net.online(torch.cat(part)).chunk(len(part))]
        target = [*net.target(torch.cat(parts[0])).chunk(params.large)]
    total = 0.0
    for k, one in enumerate(online):
        for place, other in enumerate(target):
            there = (one @ other.T / params.temperature).gather(1, columns).softmax(dim=1)
            mine = target[k] if k < params.large else one
            back = (online[place] @ mine.T / params.temperature).gather(1, columns).softmax(dim=1)
            kl = (there * (there / back).log()).sum(dim=1)
            total += (-params.alpha * there[:, 0].log() + params.beta * kl).mean().item()
    pairs = (params.large + params.small) * params.large
    assert reports[0]["loss"].item() == pytest.approx(total / pairs, rel=1e-4)
    assert reports[0]["chance"] == pytest.approx(math.log(columns.shape[1]))
    assert len(crops) == params.large + params.small
    for place, crop in enumerate(crops):
        assert crop.shape[-1] == (params.size if place < params.large else params.small_size)
    for old, new, now in zip(
        net.target.parameters(), after.target.parameters(), after.online.parameters(), strict=True
    ):
        assert torch.equal(old, new)  # at the last step the momentum has risen to 1
        assert new.requires_grad is False
        assert now.requires_grad


def test_the_target_follows_slower_and_slower():
    _, before, after, _ = tiny_run(steps=3, momentum=0.5, warmup=0)
    moved = max((a - b).abs().max().item() for a, b in zip(after.target.parameters(), before.target.parameters(),
                                                          strict=True))  # fmt: skip
    assert moved > 0
    _, before, still, _ = tiny_run(steps=3, momentum=1.0, warmup=0)
    assert all(torch.equal(a, b) for a, b in zip(still.target.parameters(), before.target.parameters(), strict=True))


def test_large_crops_alone_have_other_backgrounds():
    _, model = small(p_m=0.4, behind="noise", large=3, small=2)
    assert [isinstance(view.steps[0], OtherBackground) for view in (*model.crops.large, *model.crops.small)] == (
        [True] * 3 + [False] * 2
    )
    assert model.crops.large[0].steps[0] == OtherBackground(0.4, "noise")


def test_what_is_reported_at_an_evaluation():
    _, _, _, reports = tiny_run()
    last = reports[-1]
    assert 0 <= last["invariance"].item() < last["loss"].item()
    torch.testing.assert_close(last["there"].sum(dim=1), torch.ones(8))
    assert last["saliency"].amax().item() == pytest.approx(1)
    on = [last[f"on {ground}"].item() for ground in ("grey", "noise", "photographs")]
    assert last["elsewhere"].item() == pytest.approx(sum(on) / 3)
    assert 0 <= last["untrained elsewhere"] <= 1


def test_pictures_without_classes_are_learned_from_too():
    _, _, _, reports = tiny_run(data="photos:crops:64", size=32)
    assert "elsewhere" not in reports[-1]
    assert reports[-1]["loss"].isfinite()


@pytest.mark.parametrize(
    ("values", "said"),
    [({"negatives": 8, "batch": 8}, "negatives 8 must be fewer than the batch 8; use 0 for all"),
     ({"large": 1}, "large: 1 is out of range; allowed is 2 to 8")],
)  # fmt: skip
def test_knobs_that_cannot_be_are_refused(values, said):
    with pytest.raises(KnobError, match=said):
        ReLICParams.make(values)
