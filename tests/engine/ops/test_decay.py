"""Every parameter that learns is in one group, and only weights are pulled."""

from torch import nn

from engine.ops.decay import decay_groups


def test_groups():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(4, 3))
    frozen = nn.Linear(2, 2).requires_grad_(False)
    pulled, free = decay_groups(nn.ModuleList((net, frozen)), 0.1)
    assert (pulled["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert pulled["params"] == [net[0].weight, net[2].weight]
    assert free["params"] == [net[0].bias, net[1].weight, net[1].bias, net[2].bias]
