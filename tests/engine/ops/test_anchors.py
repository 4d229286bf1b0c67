"""Anchors against a triple loop, torchvision, and the mirror of the image."""

import math

import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from engine.ops.anchors import cell_anchors, pyramid_anchors
from engine.ops.boxes import area, flip


def test_order_and_places_are_those_of_the_loop():
    grids, strides, sizes, ratios = [(2, 3), (1, 2)], [8, 16], [[10.0, 12.0], [20.0, 25.0]], [0.5, 1.0, 2.0]
    for level, anchors in enumerate(pyramid_anchors(grids, strides, sizes, ratios)):
        expected = []
        for i in range(grids[level][0]):
            for j in range(grids[level][1]):
                for ratio in ratios:
                    for size in sizes[level]:
                        x, y = (j + 0.5) * strides[level], (i + 0.5) * strides[level]
                        width, height = size / math.sqrt(ratio), size * math.sqrt(ratio)
                        expected.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
        torch.testing.assert_close(anchors, torch.tensor(expected))


def test_size_is_the_root_of_the_area_and_ratio_is_height_over_width():
    anchors = cell_anchors([16.0, 32.0], [0.5, 2.0])
    torch.testing.assert_close(area(anchors), torch.tensor([256.0, 1024, 256, 1024]))
    torch.testing.assert_close((anchors[:, 3] / anchors[:, 2]), torch.tensor([0.5, 0.5, 2, 2]))


def test_agrees_with_torchvision_but_for_its_half_cell():
    sizes, ratios = ((32, 64), (64, 128)), (1.0, 4.0)  # whole half-sizes: torchvision rounds them
    maps = [torch.zeros(1, 1, 4, 6), torch.zeros(1, 1, 2, 3)]
    theirs = AnchorGenerator(sizes, (ratios,) * 2)(ImageList(torch.zeros(1, 3, 32, 48), [(32, 48)]), maps)[0]
    ours = pyramid_anchors([(4, 6), (2, 3)], [8, 16], sizes, ratios)
    torch.testing.assert_close(
        torch.cat([level - stride / 2 for level, stride in zip(ours, (8, 16), strict=True)]), theirs
    )


def test_mirroring_the_image_mirrors_the_cells():
    anchors = pyramid_anchors([(3, 5)], [8], [[10.0]], [0.5, 2.0])[0].reshape(3, 5, 2, 4)
    torch.testing.assert_close(flip(anchors, 40), anchors.flip(1))


def test_levels_must_agree():
    with pytest.raises(ValueError, match="same levels, got 2 grids, 1 strides"):
        pyramid_anchors([(1, 1), (1, 1)], [8], [[8.0]], [1.0])
    with pytest.raises(ValueError, match="ratios: expected one positive number"):
        cell_anchors([8.0], [0.0])
