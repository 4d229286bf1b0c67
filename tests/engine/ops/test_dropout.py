"""Dropout that stays on: what is switched, what is shared, and the closed form of a linear model."""

import pytest
import torch
from torch import nn

from engine.nets.lenet import DropoutLeNet
from engine.nets.unet import SmallUNet
from engine.ops.dropout import only_dropout, samples


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def modes(net):
    return [module.training for module in net.modules()]


def test_a_linear_model_has_the_mean_and_variance_of_the_closed_form():
    p, x = 0.3, torch.randn(1, 6, generator=seeded())
    net = nn.Sequential(nn.Dropout(p), nn.Linear(6, 1, bias=False))
    w = torch.randn(1, 6, generator=seeded(1))
    net[1].weight.data = w
    told = samples(net, x.expand(20_000, -1), 2, seeded()).flatten()
    variance = p / (1 - p) * (w.square() * x.square()).sum()
    error = (variance / len(told)).sqrt()
    assert (told.mean() - (w * x).sum()).abs() < 4 * error
    assert told.var() == pytest.approx(float(variance), rel=0.05)


@pytest.mark.parametrize("training", [True, False])
def test_only_dropout_is_on_and_all_is_put_back(training):
    net = DropoutLeNet(1, 3, 4, 8, 0.5).train(training)
    net[1].train(not training)
    before = modes(net)
    with only_dropout(net, 0.2):
        for module in net.modules():
            assert module.training == isinstance(module, nn.Dropout)
            assert not isinstance(module, nn.Dropout) or module.p == 0.2
    assert modes(net) == before
    assert [module.p for module in net if isinstance(module, nn.Dropout)] == [0.5, 0.5]


def test_another_probability_is_only_for_places_that_drop():
    net = SmallUNet(1, 2, width=4, depth=2, dropout=0.5, places="centre")
    own = [module.p for module in net.modules() if isinstance(module, nn.Dropout)]
    with only_dropout(net, 0.2):
        now = [module.p for module in net.modules() if isinstance(module, nn.Dropout)]
    assert now == [0.2 if p else 0.0 for p in own]
    assert 0.0 in now
    assert 0.2 in now


def test_all_is_put_back_after_an_error_too():
    net = DropoutLeNet(1, 3, 4, 8, 0.5)
    with pytest.raises(RuntimeError, match="stop"), only_dropout(net, 0.1):
        raise RuntimeError("stop")
    assert all(modes(net))
    assert net[-2].p == 0.5


def test_batch_norm_keeps_its_statistics_and_uses_them():
    net = DropoutLeNet(1, 3, 4, 8, 0.0)
    images = torch.rand(5, 1, 12, 12, generator=seeded())
    before = {name: value.clone() for name, value in net.state_dict().items()}
    told = samples(net, images, 2, seeded())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    # With batch statistics an image's answer would depend on the others.
    torch.testing.assert_close(samples(net, images[:1], 2, seeded()), told[:1])


class Counted(nn.Sequential):
    """A row of layers that counts its calls."""

    calls = 0

    def forward(self, images):
        self.calls += 1
        return super().forward(images)


class Branched(nn.Module):
    """As VGG-16 of torchvision: no row of layers; dropout in the head only. Works in place wherever it can."""

    def __init__(self):
        super().__init__()
        self.features = Counted(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.beside = Counted(nn.Conv2d(1, 4, 3))
        self.head = nn.Sequential(
            nn.Linear(400, 9), nn.ReLU(inplace=True), nn.Dropout(0.5, inplace=True), Counted(nn.Linear(9, 3)),
        )  # fmt: skip

    def forward(self, images):
        found = self.features(images)
        found += self.beside(images)  # spoils what is remembered of the features, were it not a copy
        return self.head(found.flatten(1).relu_())


def plainly(net, images, passes, seed):
    """The same passes one after the other, of the whole network each time."""
    drawn = int(torch.randint(2**31, (), generator=seed))
    with only_dropout(net), torch.random.fork_rng([]), torch.no_grad():
        torch.manual_seed(drawn)
        return torch.stack([net(images) for _ in range(passes)], dim=1)


def test_what_comes_before_the_first_dropout_runs_once_and_changes_nothing():
    net, images = Branched().eval(), torch.rand(4, 1, 12, 12, generator=seeded())
    expected = plainly(net, images, 7, seeded())
    for counted in (net.features, net.beside, net.head[3]):
        counted.calls = 0
    told = samples(net, images, 7, seeded())
    assert torch.equal(told, expected)
    assert (net.features.calls, net.beside.calls, net.head[3].calls) == (1, 1, 7)
    assert all("forward" not in vars(module) and not module._forward_pre_hooks for module in net.modules())
    assert torch.equal(samples(net, images.flip(0), 7, seeded()), plainly(net, images.flip(0), 7, seeded()))


@pytest.mark.parametrize("net", [DropoutLeNet(1, 3, 4, 8, 0.5), SmallUNet(1, 3, width=4, depth=2, dropout=0.5)])
def test_networks_of_the_lab_answer_as_if_each_pass_were_run_whole(net):
    images = torch.rand(2, 1, 16, 16, generator=seeded()) if isinstance(net, SmallUNet) else torch.rand(2, 1, 12, 12)
    told = samples(net, images, 3, seeded())
    assert torch.equal(told, plainly(net, images, 3, seeded()))
    assert not torch.equal(told[:, 0], told[:, 1])


def test_a_part_that_gives_more_than_a_tensor_is_computed_each_time():
    class Pair(nn.Module):
        def forward(self, images):
            return images, 2 * images

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.pair, self.fixed, self.drop = Pair(), Counted(nn.Linear(3, 3)), nn.Dropout(0.5)

        def forward(self, images):
            one, other = self.pair(images)
            return self.drop(self.fixed(one) + other)

    net, images = Net().eval(), torch.rand(4, 3, generator=seeded())
    assert torch.equal(samples(net, images, 3, seeded()), plainly(net, images, 3, seeded()))


def test_masks_differ_between_passes_and_images_and_follow_from_the_generator():
    net = nn.Sequential(nn.Dropout(0.5))
    told = samples(net, torch.ones(2, 64), 2, seeded())
    assert len({tuple(row) for row in told.flatten(0, 1).tolist()}) == 4
    assert torch.equal(told, samples(net, torch.ones(2, 64), 2, seeded()))
    assert not torch.equal(told, samples(net, torch.ones(2, 64), 2, seeded(1)))


def test_looking_leaves_the_random_numbers_of_training_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    samples(nn.Sequential(nn.Dropout(0.5)), torch.ones(1, 8), 3, seeded())
    assert torch.equal(torch.rand(4), expected)


def test_with_probability_nought_all_passes_agree_with_the_usual_answer():
    net, images = DropoutLeNet(1, 3, 4, 8, 0.5).eval(), torch.rand(3, 1, 12, 12, generator=seeded())
    told = samples(net, images, 3, seeded(), probability=0.0)
    torch.testing.assert_close(told, net(images)[:, None].expand_as(told))


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="no dropout"):
        samples(nn.Sequential(nn.Linear(2, 2)), torch.ones(1, 2), 3, seeded())
    with pytest.raises(ValueError, match="passes: expected 2"):
        samples(nn.Sequential(nn.Dropout()), torch.ones(1, 2), 1, seeded())
    with pytest.raises(ValueError, match="probability: expected 0 to 1"):
        samples(nn.Sequential(nn.Dropout()), torch.ones(1, 2), 2, seeded(), 1.5)
