"""The four-block network of few-shot learning."""

import pytest
import torch

from engine.nets.convnet import ConvNet4


@pytest.mark.parametrize(("size", "features"), [(28, 64), (84, 1600), (16, 64)])
def test_features_of_the_published_sizes(size, features):
    assert ConvNet4(1)(torch.rand(2, 1, size, size)).shape == (2, features)


def test_parameters_by_hand():
    # 3x3 kernels with bias and two numbers a channel of batch norm.
    expected = (9 * 3 * 32 + 32 + 64) + 3 * (9 * 32 * 32 + 32 + 64)
    assert sum(p.numel() for p in ConvNet4(3, width=32).parameters()) == expected


def test_too_small():
    with pytest.raises(ValueError, match="16 pixels a side or more, got 28 x 15"):
        ConvNet4(1)(torch.rand(2, 1, 28, 15))
