"""The small residual network: its size, its shapes, the identity path, and its two kinds of noise."""

import pytest
import torch

from engine.nets.resnet import ResidualBlock, SmallResNet


def images(size: int = 28, count: int = 4, channels: int = 1) -> torch.Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0))


def test_parameters_by_hand():
    w, c = 16, 1
    convolutions = 9 * (c * w + 2 * w * w) + 9 * (w * 2 * w + 4 * w * w) + 9 * (2 * w * 4 * w + 16 * w * w)
    shortcuts = w * 2 * w + 2 * w * 4 * w
    norms = 2 * (w + 2 * w + 3 * 2 * w + 3 * 4 * w)
    assert sum(p.numel() for p in SmallResNet(c, w).parameters()) == convolutions + shortcuts + norms


@pytest.mark.parametrize("size", [28, 33, 64])
def test_shapes(size):
    net = SmallResNet(3, 8)
    assert net.maps(images(size, channels=3)).shape == (4, 32, -(-size // 8), -(-size // 8))
    assert net(images(size, channels=3)).shape == (4, net.out_features)


def test_a_silent_branch_leaves_the_identity():
    block = ResidualBlock(6, 6)
    torch.nn.init.zeros_(block.branch[5].weight)  # scale of the last batch norm
    x = torch.rand(2, 6, 5, 5)
    torch.testing.assert_close(block(x), x)


def test_dropped_path_is_the_shortcut_alone():
    torch.manual_seed(0)
    block = ResidualBlock(6, 6, drop_path=0.5)
    x = torch.rand(400, 6, 3, 3)
    same = (block(x) == x).flatten(1).all(1)
    assert abs(same.float().mean() - 0.5) < 5 * (0.25 / 400) ** 0.5
    assert not (block.eval()(x) == x).flatten(1).all(1).any()


def test_dropout_is_noise_in_training_alone_and_takes_whole_channels():
    net = SmallResNet(1, 8, dropout=0.5)
    assert not torch.equal(net(images()), net(images()))
    net.eval()
    assert torch.equal(net(images()), net(images()))
    block = ResidualBlock(64, 64, dropout=0.5)
    kept = block.branch[3](torch.ones(2, 64, 4, 4)).flatten(2)
    assert ((kept == 0).all(2) | (kept == 2).all(2)).all()


def test_brightness_and_contrast_of_the_batch_do_not_matter():
    # The first batch norm takes them off (up to the padded border and its epsilon): no input statistics are needed.
    net = SmallResNet(1, 8).double()
    net.stem[0].padding = (0, 0)
    x = images().double()
    torch.testing.assert_close(net(x * 7 + 3), net(x), atol=1e-3, rtol=1e-2)
