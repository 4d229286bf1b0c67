"""Smooth filling against Laplace's equation solved exactly, and what it may never do."""

import numpy as np
import pytest
import torch

from engine.ops.fill import smooth_fill

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.rand(3, 2, 8, 8, generator=GENERATOR)
KNOWN = (torch.rand(3, 1, 8, 8, generator=GENERATOR) < 0.3).float()


def solved(image, known):
    """The harmonic surface by a linear system: each unknown pixel is the mean of its neighbours, mirrored outside."""
    height, width = image.shape
    system, right = np.eye(height * width), np.zeros(height * width)
    for row in range(height):
        for column in range(width):
            here = row * width + column
            if known[row, column]:
                right[here] = image[row, column]
                continue
            for down, across in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                there = min(max(row + down, 0), height - 1) * width + min(max(column + across, 0), width - 1)
                system[here, there] -= 0.25
    return np.linalg.solve(system, right).reshape(height, width)


def test_many_sweeps_solve_laplaces_equation():
    filled = smooth_fill(IMAGES.double(), KNOWN.double(), sweeps=400)
    for image, known, answer in zip(IMAGES, KNOWN, filled, strict=True):
        for channel in range(2):
            expected = solved(image[channel].double().numpy(), known[0].numpy())
            np.testing.assert_allclose(answer[channel].numpy(), expected, atol=1e-6)


def test_few_sweeps_are_near():
    exact, few = (smooth_fill(IMAGES, KNOWN, sweeps) for sweeps in (400, 20))
    assert (few - exact).abs().mean() < 0.02 < (IMAGES - exact).abs().mean()


def test_known_pixels_stay_and_filled_ones_lie_between_them():
    filled = smooth_fill(IMAGES, KNOWN)
    assert torch.equal(torch.where(KNOWN.bool(), filled, 0), IMAGES * KNOWN)
    for image, known, answer in zip(IMAGES, KNOWN.expand_as(IMAGES).bool(), filled, strict=True):
        for channel in range(2):
            seen = image[channel][known[channel]]
            assert seen.min() - 1e-5 <= answer[channel].min() <= answer[channel].max() <= seen.max() + 1e-5


def test_unknown_pixels_have_no_say():
    other = torch.where(KNOWN.bool(), IMAGES, 99)
    assert torch.equal(smooth_fill(other, KNOWN), smooth_fill(IMAGES, KNOWN))


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (28, 28)])
def test_one_known_pixel_gives_a_plain_picture(size):
    known = torch.zeros(1, 1, *size)
    known[..., -1, -1] = 1
    torch.testing.assert_close(smooth_fill(0.3 * known, known, 100), torch.full((1, 1, *size), 0.3), atol=0.01, rtol=0)


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"known: expected shape \(3, 1, 8, 8\), got \(3, 2, 8, 8\)"):
        smooth_fill(IMAGES, KNOWN.expand(-1, 2, -1, -1))
