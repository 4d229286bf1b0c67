"""The moving average against its closed form; buffers and gradients left as promised."""

import copy

import pytest
import torch
from torch import nn

from engine.ops.ema import ema_update


def net(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2)).double()


def test_distance_to_a_still_network_shrinks_by_the_momentum_each_time():
    target, source = net(0), net(1)
    start = [p.detach().clone() for p in target.parameters()]
    for _ in range(5):
        ema_update(target, source, 0.9)
    for now, then, goal in zip(target.parameters(), start, source.parameters(), strict=True):
        torch.testing.assert_close(now - goal, 0.9**5 * (then - goal))


@pytest.mark.parametrize(("momentum", "winner"), [(0.0, 1), (1.0, 0)])
def test_ends(momentum, winner):
    target, source = net(0), net(1)
    ema_update(target, source, momentum)
    for ours, theirs in zip(target.parameters(), net(winner).parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("copied", [True, False])
def test_buffers_are_copied_or_left_alone(copied):
    target, source = net(0), net(1)
    source(torch.rand(4, 1, 4, 4, dtype=torch.float64))
    before = copy.deepcopy(dict(target.named_buffers()))
    ema_update(target, source, 0.5, copy_buffers=copied)
    expected = dict(source.named_buffers()) if copied else before
    assert all(torch.equal(buffer, expected[name]) for name, buffer in target.named_buffers())
    assert target[1].num_batches_tracked.item() == int(copied)


def test_no_gradient_passes_and_the_source_stays():
    target, source = net(0), net(1)
    ema_update(target, source, 0.5)
    assert all(p.grad_fn is None and p.requires_grad for p in target.parameters())
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), net(1).parameters(), strict=True))


def test_bad_input():
    with pytest.raises(ValueError, match=r"momentum: expected 0 to 1, got 1\.5"):
        ema_update(net(0), net(1), 1.5)
    with pytest.raises(ValueError, match="same parameters"):
        ema_update(net(0), nn.Linear(2, 2), 0.5)
