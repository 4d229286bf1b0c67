import math

import numpy as np
import pytest
import torch

from engine.data.scenes import banks, photos, shapes, sprites
from engine.data.scenes.members import RADIUS, bleed, canonical

BANKS = ("emoji", "shapes", "sprites")


def lens(a, b, apart):
    """Area common to two discs of radii a, b whose centres are `apart`."""
    x = (apart**2 + a**2 - b**2) / (2 * apart)
    return (
        a**2 * math.acos(x / a) + b**2 * math.acos((apart - x) / b)
        - apart * math.sqrt(a**2 - x**2)
    )  # fmt: skip


AREAS = {
    "disc": math.pi * (0.9 * RADIUS) ** 2,
    "square": 1.44**2,
    "triangle": 3 * math.sqrt(3) / 4 * RADIUS**2,
    # Half the integral of r^2 over the circle.
    "star": math.pi * RADIUS**2 * (0.62**2 + 0.38**2 / 2),
    "ring": math.pi * (RADIUS**2 - 0.25),
    "plus": 2 * 0.56 * 1.8 - 0.56**2,
    "crescent": math.pi * RADIUS**2 - lens(RADIUS, 0.72, 0.42),
    "bar": 0.6 * 2 * RADIUS,
}


def test_shapes_have_their_areas():
    areas = 4 * banks.load("shapes", 64, False).alpha.mean((1, 2))
    for name, area in zip(shapes.CLASSES, areas.tolist(), strict=True):
        assert area == pytest.approx(AREAS[name], abs=0.02), name


def test_triangle_points_up():
    triangle = shapes.inside(64)[2]
    widths = triangle.sum(1)
    assert (widths[widths > 0].diff() >= 0).all()


@pytest.mark.parametrize("name", BANKS)
@pytest.mark.parametrize("texels", [24, 64])
def test_silhouettes_stay_in_the_unit_disc_whatever_the_turn(name, texels):
    at = (torch.arange(texels) + 0.5) * 2 / texels - 1
    far = torch.hypot(at[:, None], at[None]) > 1.03
    assert banks.load(name, texels, False).alpha[:, far].max() < 0.01


@pytest.mark.parametrize("name", BANKS)
def test_every_member_can_be_seen_and_every_value_is_in_range(name):
    bank = banks.load(name, 32, False)
    assert ((bank.alpha >= 0.5).flatten(1).sum(1) > 40).all()
    planes = [bank.alpha, bank.height] + ([bank.colours] if bank.colours is not None else [])
    for plane in planes:
        assert plane.min() >= 0
        assert plane.max() <= 1 + 1e-6
    assert len(bank.alpha) == bank.members.sum()
    assert len(bank.classes) == len(bank.members) == 8


def test_picking_reaches_every_member_of_the_class_and_no_other():
    bank = banks.load("emoji", 32, False).limited(4)
    for kind in range(4):
        numbers = torch.arange(1000) / 1000
        picked = bank.pick(torch.full((1000,), kind), numbers).unique()
        first = int(bank.members[:kind].sum())
        assert torch.equal(picked, torch.arange(first, first + int(bank.members[kind])))


def test_one_class_is_object_and_holds_the_whole_bank():
    bank = banks.load("emoji", 32, False)
    one = bank.limited(1)
    assert one.classes == ("object",)
    assert len(one.pick(torch.zeros(10000, dtype=torch.int64), torch.arange(10000) / 10000).unique()) == len(bank.alpha)


def test_too_many_classes_and_unknown_banks_are_refused():
    with pytest.raises(ValueError, match="8, got 9"):
        banks.load("shapes", 32, False).limited(9)
    with pytest.raises(ValueError, match="emoji, shapes, sprites"):
        banks.load("photos", 32, False)


def test_relief_of_a_disc_is_its_closed_form():
    at = torch.arange(64) + 0.5 - 32
    r = torch.hypot(at[:, None], at[None])
    height = banks.relief((r < 24).float()[None])[0]
    expected = torch.where(r < 24, 1 - (r / 24) ** 2, 0)
    # Pixels place the outline within half a pixel, which moves h by up to 2 * 0.5 / 24; smoothing adds a little.
    assert (height - expected)[r < 22].abs().max() < 0.06
    assert height[r > 26].max() == 0


def test_sprites_have_no_holes_and_test_sprites_are_other_garments():
    ring = np.zeros((28, 28), np.uint8)
    ring[5:20, 5:20] = 200
    ring[9:15, 9:15] = 0
    assert sprites.silhouette(ring).sum() == 15 * 15
    train, test = (banks.load("sprites", 32, test).alpha.flatten(1) for test in (False, True))
    assert torch.cdist(test, train).min() > 0


def test_bleeding_colours_takes_the_nearest_opaque_one():
    colours = np.zeros((5, 9, 3), np.uint8)
    alpha = np.zeros((5, 9))
    colours[:, 0], alpha[:, 0] = (10, 20, 30), 1
    colours[:, 8], alpha[:, 8] = (200, 100, 50), 1
    spread = bleed(colours, alpha)
    assert (spread[:, :4] == (10, 20, 30)).all()
    assert (spread[:, 5:] == (200, 100, 50)).all()


def test_canonical_square_maps_centre_and_radius():
    at = torch.arange(64) + 0.5
    disc = (torch.hypot(at - 20, at[:, None] - 30) < 10).float()
    picture = torch.stack((disc, torch.full_like(disc, 0.3)))[None]
    alpha, colours = canonical(picture, torch.tensor([[20.0, 30.0]]), torch.tensor([12.5]), 64)
    # Radius 10 px of 12.5 px is 0.8 of the half-side; the picture keeps its place and its area.
    u = (torch.arange(64) + 0.5) / 32 - 1
    assert 4 * alpha.mean() == pytest.approx(math.pi * 0.8**2, rel=0.03)
    assert abs((alpha[0] * u).mean()) < 1e-3
    assert abs((alpha[0] * u[:, None]).mean()) < 1e-3
    torch.testing.assert_close(colours, torch.full((1, 1, 64, 64), 0.3))


def test_photographs_of_the_test_split_are_not_in_the_others():
    train, test = photos.photographs(32, False), photos.photographs(32, True)
    assert len(train) >= 16
    assert len(test) >= 4
    apart = (train[:, None].float() - test[None].float()).abs().mean((2, 3, 4))
    assert apart.min() > 10


def test_every_fourth_photograph_is_for_test_only(monkeypatch, tmp_path):
    from PIL import Image

    (tmp_path / "photos").mkdir()
    for place in range(8):
        Image.new("RGB", (40, 40), (place * 30, 0, 0)).save(tmp_path / "photos" / f"{place}.jpg", quality=95)
    monkeypatch.setattr(photos, "ASSETS", tmp_path)
    reds = {test: photos.photographs.__wrapped__(8, test)[:, 0].float().mean((1, 2)).div(30).round().tolist()
            for test in (False, True)}  # fmt: skip
    assert reds == {True: [3, 7], False: [0, 1, 2, 4, 5, 6]}


def test_missing_photographs_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(photos, "ASSETS", tmp_path)
    with pytest.raises(FileNotFoundError, match="photos"):
        photos.photographs.__wrapped__(8, False)


def test_textures_are_cut_from_the_photographs_given():
    plain = torch.zeros(3, 3, 30, 30, dtype=torch.uint8)
    plain[0], plain[1], plain[2] = 51, 102, 255
    cut = photos.textures(plain, 16)
    assert cut.shape == (256, 3, 16, 16)
    assert sorted(set(cut.mul(5).round().flatten().tolist())) == [1, 2, 5]
