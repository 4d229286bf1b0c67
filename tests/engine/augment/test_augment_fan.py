"""Views and the way back from them, against places that were worked out by hand."""

import pytest
import torch

from engine.augment.fan import FAN, NAMES, fan, inverse, moved
from engine.ops.warp import rotation, warp

PLAIN = ("as it is", "mirrored", "upside down", "half turn", "quarter left", "quarter right")
MOVING = (
    *PLAIN,
    "turn left",
    "turn right",
    "shift left",
    "shift right",
    "shift up",
    "shift down",
    "zoom in",
    "zoom out",
)


def picture(size=28, channels=1):
    return torch.rand(2, channels, size, size, generator=torch.Generator().manual_seed(0))


def test_each_view_keeps_shape_and_range_and_the_first_is_the_picture():
    images = picture(channels=3)
    seen = fan(images)
    assert seen.shape == (len(NAMES), *images.shape)
    assert torch.equal(seen[0], images)
    assert seen.min() >= 0
    assert seen.max() <= 1
    assert all(not torch.equal(each, images) for each in seen[1:])
    assert fan(picture(3)).isfinite().all()


@pytest.mark.parametrize("name", ["mirrored", "upside down", "half turn"])
def test_twice_is_the_picture_to_the_bit(name):
    images = picture()
    assert torch.equal(FAN[name].see(FAN[name].see(images)), images)


def test_quarters_undo_one_another_and_four_of_them_are_none():
    images, left, right = picture(), FAN["quarter left"], FAN["quarter right"]
    assert torch.equal(right.see(left.see(images)), images)
    assert torch.equal(left.see(left.see(images)), FAN["half turn"].see(images))
    corner = torch.zeros(1, 1, 4, 4)
    corner[0, 0, 0, 3] = 1  # top right
    assert left.see(corner)[0, 0, 0, 0] == 1, "a turn to the left takes it to the top left"


@pytest.mark.parametrize("name", PLAIN)
def test_what_is_done_by_swapping_axes_is_the_warp_by_the_same_matrix(name):
    images, matrix = picture(), FAN[name].move(28)
    assert torch.allclose(moved(images, matrix), warp(images, matrix.expand(2, 2, 3)), atol=1e-5)


def test_boxes_are_carried_back_as_by_hand():
    box = torch.tensor([[2.0, 4.0, 10.0, 8.0]])

    def back(name, size=28):
        return FAN[name].boxes_back(box, size)[0].tolist()

    assert back("as it is") == [2, 4, 10, 8]
    assert back("mirrored") == [18, 4, 26, 8]
    assert back("upside down") == [2, 20, 10, 24]
    assert back("half turn") == [18, 20, 26, 24]
    assert back("quarter left") == pytest.approx([20, 2, 24, 10]), "x is 28 - y, y is x"
    assert back("quarter right") == pytest.approx([4, 18, 8, 26]), "x is y, y is 28 - x"
    assert back("shift right") == [0, 4, 8, 8], "two pixels to the left"
    assert back("shift up") == [2, 6, 10, 10]
    assert back("zoom in") == pytest.approx([14 + (v - 14) / 1.15 for v in (2, 4, 10, 8)], abs=1e-4)
    assert back("zoom out")[0] == pytest.approx(14 - 12 * 1.15, abs=1e-4)
    assert FAN["zoom out"].boxes_back(torch.tensor([0.0, 0.0, 28.0, 28.0]), 28).tolist() == [0, 0, 28, 28], "cut"


def test_a_turned_box_becomes_the_hull_of_its_corners():
    box, angle = torch.tensor([10.0, 12.0, 18.0, 16.0]), torch.deg2rad(torch.tensor(12.0))
    wide, high = 8 * angle.cos() + 4 * angle.sin(), 8 * angle.sin() + 4 * angle.cos()
    expected = [14 - wide / 2, 14 - high / 2, 14 + wide / 2, 14 + high / 2]
    for name in ("turn left", "turn right"):
        assert FAN[name].boxes_back(box, 28).tolist() == pytest.approx([float(v) for v in expected], abs=1e-4)


@pytest.mark.parametrize("name", MOVING)
def test_a_spot_seen_in_a_view_is_carried_back_to_where_it_is(name):
    y, x = torch.meshgrid(torch.arange(40) + 0.5, torch.arange(40) + 0.5, indexing="ij")
    images = (-((x - 26.5) ** 2 + (y - 14.5) ** 2) / 8).exp()[None, None]
    seen = FAN[name].see(images)[0, 0]
    spot = torch.stack([(seen * x).sum(), (seen * y).sum()]) / seen.sum()
    assert FAN[name].points_back(spot, 40).tolist() == pytest.approx([26.5, 14.5], abs=0.05)


@pytest.mark.parametrize("name", MOVING)
def test_maps_come_back_and_what_the_view_does_not_show_is_told(name):
    view, smooth = FAN[name], torch.linspace(0.2, 0.8, 28).expand(1, 2, 28, 28).contiguous()
    found, seen = view.maps_back(view.see(smooth))
    inner = seen.clone()
    inner[[0, 1, -1, -2]], inner[:, [0, 1, -1, -2]] = False, False
    assert torch.allclose(found[..., inner], smooth[..., inner], atol=0.03)
    assert (found[..., ~seen] == 0).all()
    if name in PLAIN:
        assert torch.equal(found, smooth)
        assert seen.all()
    if name == "shift right":  # the view lost the two columns at the right
        assert seen[:, :26].all()
        assert not seen[:, 26:].any()
    if name == "zoom in":
        assert not seen[0].any()
        assert seen[14, 14]


def test_masks_come_back_by_nearest_pixel():
    mask = torch.zeros(1, 1, 28, 28)
    mask[..., 5:9, 7:20] = 3
    found, seen = FAN["shift left"].maps_back(FAN["shift left"].see(mask / 3) * 3, "nearest")
    assert torch.equal(found[0, 0][seen].round(), mask[0, 0][seen])


def test_the_inverse_undoes():
    matrix = torch.cat((rotation(torch.tensor(30.0))[:, :2], torch.tensor([[3.0], [-2.0]])), dim=1)
    point = torch.tensor([4.0, 7.0])
    there = matrix[:, :2] @ point + matrix[:, 2]
    back = inverse(matrix)
    assert torch.allclose(back[:, :2] @ there + back[:, 2], point, atol=1e-5)


def test_pictures_that_are_not_square_are_refused():
    with pytest.raises(ValueError, match="views are for square pictures, got 20 x 28 pixels"):
        FAN["turn left"].see(torch.zeros(1, 1, 20, 28))
