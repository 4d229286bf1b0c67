"""Heads: how many maps, what stands between them, and what is refused."""

import pytest
import torch
from torch import nn

from engine.nets.projection import plain_layers, projection


def kinds(head):
    return [type(part).__name__ for part in head]


def test_a_head_is_linear_maps_with_norm_and_relu_between():
    assert kinds(projection((8, 16, 4))) == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert kinds(projection((8, 16, 4), norm=False)) == ["Linear", "ReLU", "Linear"]
    assert kinds(projection((8, 16, 4), last_norm=True)) == ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d"]
    assert kinds(projection((8, 4))) == ["Linear"]


def test_maps_before_a_norm_have_no_bias_and_the_last_norm_has_no_weights():
    head = projection((8, 16, 4), last_norm=True)
    assert [part.bias is None for part in head if isinstance(part, nn.Linear)] == [True, True]
    assert [part.affine for part in head if isinstance(part, nn.BatchNorm1d)] == [True, False]
    assert projection((8, 16, 4))[-1].bias is not None


def test_one_width_is_the_identity():
    rows = torch.rand(3, 8)
    assert torch.equal(projection((8,))(rows), rows)


@pytest.mark.parametrize("widths", [(), (8, 0)])
def test_widths_that_cannot_be_say_so(widths):
    with pytest.raises(ValueError, match="widths: expected one or more numbers above 0"):
        projection(widths)


def test_batch_norm_in_a_head_becomes_part_of_its_linear_maps():
    torch.manual_seed(0)
    head = projection((6, 5, 4, 3))
    for _ in range(5):
        head(torch.randn(32, 6) * 3 + 1)
    layers, x = plain_layers(head.eval()), torch.randn(7, 6)
    assert [type(each) for each in layers] == [nn.Linear] * 3
    torch.testing.assert_close(layers[2](layers[1](layers[0](x).relu()).relu()), head(x), atol=1e-5, rtol=1e-4)
    bare = projection((6, 5, 3), norm=False)
    assert all(each is own for each, own in zip(plain_layers(bare), bare[::2], strict=True))
    assert plain_layers(nn.Linear(2, 2))[0].in_features == 2
