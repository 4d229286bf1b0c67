"""Histograms of oriented gradients against a slow definition, and edges that one can draw."""

import math

import pytest
import torch

from engine.ops.hog import BLOCK, CELLS, DIRECTIONS, hog


def slow(image):
    """The same for one grey picture (H, W), pixel by pixel."""
    high, wide = image.shape
    at = lambda y, x: image[min(max(y, 0), high - 1), min(max(x, 0), wide - 1)].item()  # noqa: E731
    cells = torch.zeros(DIRECTIONS, CELLS, CELLS)
    for y in range(high):
        for x in range(wide):
            across, down = (at(y, x + 1) - at(y, x - 1)) / 2, (at(y + 1, x) - at(y - 1, x)) / 2
            turn = math.atan2(down, across) % math.pi * DIRECTIONS / math.pi
            low = int(turn) % DIRECTIONS
            part = turn - int(turn)
            where = y * CELLS // high, x * CELLS // wide
            strength = math.hypot(across, down) / (high // CELLS) / (wide // CELLS)
            cells[low][where] += (1 - part) * strength
            cells[(low + 1) % DIRECTIONS][where] += part * strength
    blocks = torch.zeros(DIRECTIONS * BLOCK**2, (CELLS - 1) ** 2)
    for i in range(CELLS - 1):
        for j in range(CELLS - 1):
            block = cells[:, i : i + BLOCK, j : j + BLOCK].flatten()
            blocks[:, i * (CELLS - 1) + j] = block / block.norm().clamp(min=1e-6)
    return blocks.flatten()


@pytest.mark.parametrize("size", [8, 28])
def test_it_is_what_it_says(size):
    images = torch.rand(3, 1, size, size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(hog(images), torch.stack([slow(one[0]) for one in images]), atol=1e-5, rtol=1e-4)


def test_an_upright_edge_has_one_direction_whichever_side_is_bright():
    image = torch.zeros(1, 1, 16, 16)
    image[..., 8:] = 1
    found = hog(torch.cat([image, 1 - image]))
    torch.testing.assert_close(found[0], found[1])
    directions = found[0].view(DIRECTIONS, -1).sum(dim=1)
    assert directions.nonzero().flatten().tolist() == [0]
    assert not hog(torch.full((1, 3, 12, 12), 0.3)).any(), "nothing, where all is flat"
