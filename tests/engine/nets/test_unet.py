"""The small U-Net: any size, its reach, where dropout sits."""

import pytest
import torch
from torch import nn

from engine.nets.unet import SmallUNet


@pytest.mark.parametrize(("height", "width"), [(48, 48), (16, 16), (37, 50)])
def test_answers_at_every_pixel_of_any_size(height, width):
    assert SmallUNet(3, 5)(torch.rand(2, 3, height, width)).shape == (2, 5, height, width)


@pytest.mark.parametrize("depth", [1, 3])
def test_parameters_by_hand(depth):
    w = [4 * 2**level for level in range(depth + 1)]

    def double(inputs: int, outputs: int) -> int:  # two kernels without bias, two group norms
        return 9 * (inputs * outputs + outputs**2) + 4 * outputs

    down = sum(double(w[level - 1] if level else 3, w[level]) for level in range(depth + 1))
    up = sum(double(w[level] + w[level + 1], w[level]) for level in range(depth))
    assert sum(p.numel() for p in SmallUNet(3, 2, width=4, depth=depth).parameters()) == down + up + 2 * 4 + 2


def test_skips_carry_detail_and_the_bottom_carries_reach():
    torch.manual_seed(0)
    net = SmallUNet(1, 1, width=4, depth=3).double()
    image = torch.rand(1, 1, 64, 64, dtype=torch.float64, requires_grad=True)
    net(image)[0, 0, 32, 32].backward()
    reach = image.grad[0, 0] != 0
    assert reach[32, 32]
    assert reach[0, 0]  # group norm and the bottom see the whole picture
    silent = SmallUNet(1, 1, width=4, depth=3)
    nn.init.zeros_(silent.bottom[4].weight)
    nn.init.zeros_(silent.bottom[4].bias)
    assert silent(torch.rand(1, 1, 64, 64)).std() > 0.01


def places(net: SmallUNet) -> list[bool]:
    """Whether dropout is on, from the first level down to the bottom and up to the last."""
    levels = [*net.down, net.bottom, *reversed(net.up)]
    return [any(isinstance(m, nn.Dropout) and m.p == 0.3 for m in level.modules()) for level in levels]


def test_dropout_places():
    expected = {
        "centre": [False, False, True, True, True, False, False],
        "decoder": [False, False, False, False, True, True, True],
        "all": [True] * 7,
    }
    for name, pattern in expected.items():
        assert places(SmallUNet(1, 2, depth=3, dropout=0.3, places=name)) == pattern
    assert not any(places(SmallUNet(1, 2, depth=3)))


def test_dropout_makes_noise_in_training_alone():
    net = SmallUNet(1, 2, dropout=0.5)
    x = torch.rand(1, 1, 32, 32)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


def test_an_image_is_answered_alike_alone_and_in_a_batch():
    net = SmallUNet(1, 2).double()
    x = torch.rand(3, 1, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]))


def test_bad_input():
    with pytest.raises(ValueError, match="4 poolings need 16 pixels a side or more, got 15 x 32"):
        SmallUNet(1, 2)(torch.rand(1, 1, 15, 32))
    with pytest.raises(ValueError, match="places: expected one of centre, decoder, all, got 'top'"):
        SmallUNet(1, 2, places="top")
    with pytest.raises(ValueError, match="depth: expected 1 or more, got 0"):
        SmallUNet(1, 2, depth=0)
