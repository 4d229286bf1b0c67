"""Many crops: their sizes and order, and one pass for each size."""

import pytest
import torch

from engine.augment.multicrop import MultiCrop, by_size
from engine.augment.views import View, simclr


def test_crops_come_in_their_order_and_sizes():
    crops = MultiCrop((simclr(),) * 2, (simclr(16),) * 3)
    seen = crops(torch.rand(4, 1, 28, 28), torch.Generator().manual_seed(0))
    assert [tuple(one.shape) for one in seen] == [(4, 1, 28, 28)] * 2 + [(4, 1, 16, 16)] * 3
    assert not torch.equal(seen[0], seen[1])


def test_each_size_goes_through_once_and_comes_back_in_order():
    passes = []

    def net(images):
        passes.append(tuple(images.shape))
        return images.mean(dim=(1, 2, 3))[:, None]

    crops = [torch.full((4, 1, size, size), float(i)) for i, size in enumerate((28, 28, 16, 16, 16))]
    told = by_size(net, crops)
    assert passes == [(8, 1, 28, 28), (12, 1, 16, 16)]
    assert [one.unique().tolist() for one in told] == [[0], [1], [2], [3], [4]]


def test_a_single_large_crop_has_nothing_to_be_compared_with():
    with pytest.raises(ValueError, match="large: expected 2 crops or more"):
        MultiCrop((View(()),))
