"""Networks in one: each must be what it would be alone."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from engine.nets.lenet import DropoutLeNet
from engine.nets.stacked import Stacked


def nets(count=3, dropout=0.0):
    torch.manual_seed(0)
    return [DropoutLeNet(1, 4, 2, 8, dropout) for _ in range(count)]


def pictures(*shape):
    return torch.rand(*shape, 1, 12, 12, generator=torch.Generator().manual_seed(1))


def test_it_answers_what_each_answers_alone():
    alone, images = nets(), pictures(5)
    together = Stacked(alone).eval()
    expected = torch.stack([net.eval()(images) for net in alone])
    torch.testing.assert_close(together(images), expected, atol=1e-6, rtol=1e-5)
    own = pictures(3, 5)
    expected = torch.stack([net(part) for net, part in zip(alone, own, strict=True)])
    torch.testing.assert_close(together(own, own=True), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("optimiser", [torch.optim.AdamW, lambda leaves, lr: torch.optim.SGD(leaves, lr, momentum=0.9)])
def test_it_trains_each_as_if_it_were_alone(optimiser):
    alone = [copy.deepcopy(net).train() for net in nets()]
    together = Stacked(alone).train()
    images, labels = pictures(8, 3, 6), torch.arange(8 * 3 * 6).view(8, 3, 6) % 4
    shared = optimiser(together.parameters(), 0.01)
    single = [optimiser(net.parameters(), 0.01) for net in alone]
    for batch, truth in zip(images, labels, strict=True):
        logits = together(batch, own=True)
        shared.zero_grad()
        F.cross_entropy(logits.flatten(0, 1), truth.flatten(), reduction="none").view(3, 6).mean(1).sum().backward()
        shared.step()
        for member, (net, one) in enumerate(zip(alone, single, strict=True)):
            one.zero_grad()
            F.cross_entropy(net(batch[member]), truth[member]).backward()
            one.step()
    for member, net in enumerate(alone):
        found, expected = together.member(member).state_dict(), net.state_dict()
        assert set(found) == set(expected)
        for name, value in expected.items():  # the statistics of batch norm among them
            torch.testing.assert_close(found[name], value, atol=2e-5, rtol=1e-3, msg=name)


def test_one_networks_loss_moves_no_other():
    together = Stacked(nets()).train()
    together(pictures(5))[1].square().sum().backward()
    for name, value in together.net.named_parameters():
        assert value.grad[[0, 2]].abs().max() == 0, name
    assert max(value.grad[1].abs().max() for value in together.net.parameters()) > 0


def test_dropout_drops_other_units_in_each():
    torch.manual_seed(0)
    twins = Stacked([copy.deepcopy(net) for net in nets(1, 0.5) * 2]).train()
    first, second = twins(pictures(4))
    assert not torch.equal(first, second)
    first, second = twins.eval()(pictures(4))
    torch.testing.assert_close(first, second)


def test_a_member_shares_nothing_with_the_rest():
    together = Stacked(nets()).eval()
    before = together(pictures(2))
    with torch.no_grad():
        for value in together.member(0).parameters():
            value.zero_()
    assert torch.equal(together(pictures(2)), before)


@pytest.mark.parametrize("given", [[], [nn.Linear(2, 2), nn.Linear(2, 3)], [nn.Linear(2, 2), nn.Linear(2, 2, False)]])
def test_networks_that_differ_are_refused(given):
    with pytest.raises(ValueError, match="all of one build"):
        Stacked(given)
