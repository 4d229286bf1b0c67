"""Batch statistics of parts of a batch, against each part on its own."""

import pytest
import torch
from torch import nn

from engine.nets.groups import in_groups


def net_and_images():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)).train()
    return net, torch.rand(12, 1, 8, 8)


def test_groups_have_their_own_statistics():
    net, images = net_and_images()
    expected = torch.cat([net(images[:4]), net(images[4:8]), net(images[8:])])
    assert torch.equal(in_groups(net, images, 3), expected)
    assert not torch.allclose(in_groups(net, images, 3), net(images), atol=1e-3)


def test_an_order_decides_who_shares_statistics_but_not_where_answers_stand():
    net, images = net_and_images()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    mixed = in_groups(net, images, 3, order)
    for members in order.chunk(3):
        torch.testing.assert_close(mixed[members], net(images[members]))


def test_one_group_or_no_statistics_is_the_plain_network():
    net, images = net_and_images()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    assert torch.equal(in_groups(net, images, 1, order), net(images))
    net.eval()
    torch.testing.assert_close(in_groups(net, images, 3, order), net(images))


def test_groups_that_do_not_divide_the_batch_are_refused():
    net, images = net_and_images()
    with pytest.raises(ValueError, match="5 does not divide the batch of 12"):
        in_groups(net, images, 5)
