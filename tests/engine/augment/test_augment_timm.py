"""timm's scales against timm itself: operation by operation, magnitude by magnitude, on pictures of Pillow.

How far the two may be apart, in levels of 255. Tables of levels (posterize, solarize, equalize) give the same picture.
Pillow cuts off fractions, where ours are cut off too, but computed in another order: 1. Its grey is rounded, ours is
cut off, at most 1 apart; what is blended away from it differs by |1 - f| <= 0.9 of that, and by 1 after the cut: 1, as
a difference below 1 moves at most one whole number; contrast's mean is rounded as well, 0.9 * 1.5 in all: 2. Warps read
the picture at the same places: bilinear values are cut off by Pillow and rounded by ours (1), where all four neighbours
lie inside. By nearest pixel they agree, unless the place is on the edge between two pixels.
"""

import random

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import auto_augment as timm

from engine.augment import Decisions, RandAugment, apply_operation, magnitudes
from engine.augment.code import INCREASING, TIMM
from engine.augment.magnitudes import arguments
from engine.augment.operations import NAMES
from engine.augment.policy import carry_out

SIZE = (28, 45)
APART = {"brightness": 1, "color": 1, "contrast": 2, "sharpness": 1, "autocontrast": 1}
MOVES = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
GREY = (128, 128, 128)


def pictures():
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 7, 9, generator=generator)
    blobs = (torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear") * 255).to(torch.uint8)
    noise = torch.randint(0, 256, (1, 3, *SIZE), generator=generator, dtype=torch.uint8)
    return torch.cat([blobs, noise])


def theirs(name, m, sign, scale, resample, monkeypatch):
    """timm's operation with a fixed sign -> the pictures after it."""
    full = TIMM[name] + ("Increasing" if scale == "timm-inc" and name in INCREASING else "")
    full += "Rel" if name.startswith("translate") else ""
    hparams = {"img_mean": GREY, "interpolation": resample}
    step = timm.AugmentOp(full, prob=1.0, magnitude=m, hparams=hparams)
    # Their translations are the places that are read, ours where the picture goes.
    negative = (sign < 0) != name.startswith("translate")
    monkeypatch.setattr(random, "random", lambda: 0.9 if negative else 0.1)
    done = [step(Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())) for image in pictures()]
    return torch.stack([torch.from_numpy(np.array(image)).permute(2, 0, 1) for image in done])


def decided(name, m, sign, count=3):
    operation = torch.full((1, count), NAMES.index(name))
    return Decisions.at(m, operation, torch.full_like(operation, sign))


def places(name, m, sign, scale):
    """(H, W) each: x and y that the operation reads, in pixels from the left and top edge."""
    height, width = SIZE
    matrix = arguments(scale, SIZE).matrix[m, int(sign < 0), NAMES.index(name)].double()
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    out = torch.stack([x - width / 2, y - height / 2, torch.ones_like(x)]).double()
    read_x, read_y = torch.einsum("ij,jhw->ihw", matrix, out)
    return read_x + width / 2, read_y + height / 2


@pytest.mark.parametrize("scale", ["timm", "timm-inc"])
@pytest.mark.parametrize("name", [name for name in TIMM if name not in MOVES])
def test_colours_are_timms(name, scale, monkeypatch):
    for m in range(31):
        for sign in (1, -1):
            got = apply_operation(pictures(), name, m, sign, scale)
            if name == "posterize" and magnitudes(scale, SIZE)[name].values[m] == 0:
                assert got.eq(0).all()  # as older releases of Pillow had it; newer ones refuse 0 bits
                continue
            want = theirs(name, m, sign, scale, Image.Resampling.BILINEAR, monkeypatch)
            assert (got.int() - want.int()).abs().max() <= APART.get(name, 0), (m, sign)


@pytest.mark.parametrize("scale", ["timm", "timm-inc"])
@pytest.mark.parametrize("name", MOVES)
def test_moves_are_timms(name, scale, monkeypatch):
    height, width = SIZE
    for m in range(31):
        for sign in (1, -1):
            x, y = places(name, m, sign, scale)
            inside = (x > 0.5) & (x < width - 0.5) & (y > 0.5) & (y < height - 0.5)
            outside = (x < -0.5) | (x > width + 0.5) | (y < -0.5) | (y > height + 0.5)
            edge = ((x - x.round()).abs() < 1e-3) | ((y - y.round()).abs() < 1e-3)
            for interpolation, resample in (
                ("bilinear", Image.Resampling.BILINEAR), ("nearest", Image.Resampling.NEAREST)
            ):  # fmt: skip
                want = theirs(name, m, sign, scale, resample, monkeypatch).int()
                got = carry_out(decided(name, m, sign), pictures(), scale, interpolation, tuple(map(float, GREY))).int()
                off = (got - want).abs().amax(dim=(0, 1))
                assert off[outside].sum() == 0, (m, sign, interpolation)
                if interpolation == "bilinear":
                    assert off[inside].max() <= 1, (m, sign)
                else:
                    assert off[~edge].sum() == 0, (m, sign)
                    assert edge.double().mean() < 0.2 or name.startswith("translate") or m == 0


@pytest.mark.parametrize("scale", ["timm", "timm-inc"])
def test_above_10_timm_does_what_it_does_at_10(scale):
    for name in NAMES:
        at_10 = apply_operation(pictures(), name, 10, scale=scale)
        assert torch.equal(apply_operation(pictures(), name, 30, scale=scale), at_10)


def test_inc1_turns_posterize_and_solarize_round():
    images = pictures()
    for name in ("posterize", "solarize"):
        change = {
            scale: [(apply_operation(images, name, m, scale=scale).int() - images.int()).abs().sum().item()
                    for m in range(11)]
            for scale in ("timm", "timm-inc")
        }  # fmt: skip
        assert change["timm"] == sorted(change["timm"], reverse=True)
        assert change["timm-inc"] == sorted(change["timm-inc"])
        assert change["timm"] != change["timm-inc"]
    # At M = 0, timm posterizes to black, and its increasing posterize still drops four bits.
    assert apply_operation(images, "posterize", 0, scale="timm").eq(0).all()
    assert torch.equal(apply_operation(images, "posterize", 0, scale="timm-inc"), images & 0b11110000)


def test_a_policy_of_timms_scale_is_its_operations():
    images, policy = pictures(), RandAugment(1, 7, "timm")
    for name in TIMM:
        assert torch.equal(policy.apply(images, decided(name, 7, 1)), apply_operation(images, name, 7, 1, "timm"))
