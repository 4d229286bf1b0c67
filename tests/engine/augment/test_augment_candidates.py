"""The views of test-time augmentation, and the faults they are to mend."""

import pytest
import torch
from torchvision.transforms import functional

from engine.augment.candidates import CANDIDATES, MIRRORED, views
from engine.augment.corruptions import CORRUPTIONS, corrupted


def pictures(channels=1, count=3, side=28):
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(0))


def smooth(channels=1):
    """Pictures that bear two interpolations."""
    return functional.gaussian_blur(pictures(channels), 9, 3.0)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [28, 33])
def test_views_keep_shape_and_range_and_the_first_is_the_picture(channels, side):
    images = pictures(channels, side=side)
    seen = views(images)
    assert seen.shape == (3, 12, channels, side, side)
    assert seen.min() >= 0
    assert seen.max() <= 1
    assert torch.equal(seen[:, 0], images)


def test_turns_have_no_black_corners():
    white = torch.ones(2, 1, 28, 28)
    for name in ("turn left", "turn right", "zoom out", "zoom in"):
        torch.testing.assert_close(CANDIDATES[name](white), white)


def test_turn_left_is_counter_clockwise_and_undoes_a_fault_to_the_right():
    images = smooth()
    expected = functional.rotate(images, 20, functional.InterpolationMode.BILINEAR)
    inner = (..., slice(8, 20), slice(8, 20))
    assert torch.allclose(CANDIDATES["turn left"](images)[inner], expected[inner], atol=1e-4)
    # 25 degrees to the right and 20 to the left leave 5: nearer to the picture than 45.
    fallen = CORRUPTIONS["turned right"](images, torch.Generator())
    left, right = ((CANDIDATES[name](fallen) - images)[inner].abs().mean() for name in ("turn left", "turn right"))
    assert left < 0.5 * right


def test_a_mirrored_picture_wants_the_mirrored_view():
    images = pictures(3)
    straight, mirrored = views(images), views(images.flip(-1))
    for view, partner in enumerate(MIRRORED):
        assert torch.allclose(mirrored[:, partner], straight[:, view].flip(-1), atol=1e-5), list(CANDIDATES)[view]
    assert [MIRRORED[partner] for partner in MIRRORED] == list(range(12))


def test_sharpness_and_colour_are_torchvisions():
    images = pictures(3)
    for factor in (0.2, 0.5, 3, 4):
        expected = functional.adjust_sharpness(images, factor)
        assert torch.allclose(CANDIDATES[f"sharpness {factor}"](images), expected, atol=1e-5)
    for factor in (0.5, 2):
        expected = functional.adjust_saturation(images, factor)
        assert torch.allclose(CANDIDATES[f"colour {factor}"](images), expected, atol=1e-5)
        assert torch.allclose(CANDIDATES[f"colour {factor}"](images[:, :1]), images[:, :1] ** factor)


@pytest.mark.parametrize("fault", CORRUPTIONS)
def test_faults_keep_shape_and_range_and_change_something(fault):
    images = pictures(3)
    spoilt = CORRUPTIONS[fault](images, torch.Generator().manual_seed(0))
    assert spoilt.shape == images.shape
    assert 0 <= spoilt.min() <= spoilt.max() <= 1
    assert torch.equal(spoilt, images) == (fault == "none")
    again = CORRUPTIONS[fault](images, torch.Generator().manual_seed(0))
    assert torch.equal(spoilt, again)


def test_each_picture_has_its_own_fault():
    images, names = pictures(), list(CORRUPTIONS)
    kind = torch.tensor([names.index("dark"), 0, names.index("faint")])
    spoilt = corrupted(images, kind, torch.Generator())
    torch.testing.assert_close(spoilt[0], images[0] ** 2.5)
    assert torch.equal(spoilt[1], images[1])
    torch.testing.assert_close(spoilt[2], 0.5 + 0.35 * (images[2] - 0.5))
