"""What a policy did, in words, and how far it and each operation take the pixels."""

from dataclasses import replace
from typing import get_args

import pytest
import torch

from engine.augment import (
    OPERATIONS,
    AugMix,
    AutoAugment,
    Decisions,
    RandAugment,
    Space,
    TrivialAugment,
    apply_operation,
)  # fmt: skip
from engine.augment.inspect import applied, contact_sheet, strength, strength_curve, verdict
from engine.augment.magnitudes import bins


def picture(channels=3, size=32):
    """A tilted ramp with a blob: no operation leaves it alone, and no pixel is white."""
    y, x = torch.meshgrid(torch.arange(size) / size, torch.arange(size) / size, indexing="ij")
    blob = 0.4 * (-20 * ((x - 0.4) ** 2 + (y - 0.6) ** 2)).exp()
    return torch.stack([0.1 + 0.3 * x + blob, 0.1 + 0.3 * y + blob, 0.5 - 0.2 * x + 0.3 * y][:channels])


def test_decisions_in_words_carry_the_argument_that_was_used():
    names = ["rotate", "translate_x", "brightness", "posterize", "solarize", "equalize", "shear_y"]
    operation = torch.tensor([[OPERATIONS.index(name) for name in names]])
    augment = RandAugment(1, 15)
    said = applied(augment, Decisions.at(15, operation, -torch.ones_like(operation)), (100, 331))
    # Half of 30 degrees, of 150 px at width 331, of 0.9 and of 0.3; 8 - 15 / 7.5 bits; half of 255.
    assert said == ["rotate -15°", "translate x -75 px", "brightness -45%", "posterize to 6 bits",
                    "solarize from 128 up", "equalize", "shear y -0.15"]  # fmt: skip


def test_operations_are_listed_in_the_order_of_their_application():
    decisions = Decisions.at(30, torch.tensor([[13, 0], [12, 5]]), torch.ones(2, 2, dtype=torch.int64))
    assert applied(RandAugment(2, 30), decisions, (8, 8)) == ["equalize, autocontrast", "identity, rotate +30°"]
    assert applied(RandAugment(0), RandAugment(0).draw(2, torch.Generator()), (8, 8)) == ["nothing", "nothing"]


def test_what_is_not_applied_is_not_told_and_a_mixture_is_told_by_its_chains():
    operation = torch.tensor([[5], [14], [13], [3]])
    decisions = Decisions.at(9, operation, torch.ones_like(operation))
    skipped = replace(decisions, applied=torch.tensor([[True], [False], [False], [False]]))
    assert applied(AutoAugment(), skipped, (8, 8)) == ["rotate +30°"]
    assert applied(AutoAugment(), decisions, (8, 331))[0].startswith("rotate +30°, invert, equalize, translate x +150")
    mixed = replace(skipped, share=torch.tensor([[0.5], [0.3], [0.2]]))
    assert applied(AugMix(), mixed, (8, 8)) == ["50% as it is, 30% (rotate +30°), 20% (nothing)"]
    assert applied(TrivialAugment(), Decisions.at(30, operation[:1], -torch.ones(1, 1, dtype=torch.int64)), (8, 8)) == [
        "rotate -135°"
    ]
    assert applied(TrivialAugment(), Decisions.at(0, operation[:1], -torch.ones(1, 1, dtype=torch.int64)), (8, 8)) == [
        "rotate +0°"
    ]


@pytest.mark.parametrize("scale", get_args(Space))
def test_the_sheet_is_each_operation_alone(scale):
    image = picture()
    pictures, change = contact_sheet(image, scale, -1)
    assert pictures.shape == (bins(scale), 14, 3, 32, 32)
    for m in (0, 7, bins(scale) - 1):
        for i, name in enumerate(OPERATIONS):
            alone = apply_operation(image[None], name, m, -1, scale)[0]
            assert torch.allclose(pictures[m, i], alone, atol=1e-6), (m, name)
            assert change[m, i].item() == pytest.approx((alone - image).abs().mean().item(), abs=1e-6)


def test_torchvisions_scale_grows_and_the_released_one_runs_backwards():
    fair = found("torchvision")
    assert {name for name, says in fair.items() if says != "grows with M"} == {"identity"}
    released = found("tf")
    assert released["posterize"] == released["solarize"] == "RUNS BACKWARDS"
    assert released["rotate"] != "RUNS BACKWARDS"
    assert released["brightness"] == "GOES UP AND DOWN"  # 0.1 at M = 0, the picture itself at M = 5


def found(scale):
    change = contact_sheet(picture(), scale)[1]
    return {name: verdict(change[:, i].tolist()) for i, name in enumerate(OPERATIONS)}


def test_timms_posterize_and_solarize_run_backwards_unless_it_is_told_otherwise():
    plain, increasing = found("timm"), found("timm-inc")
    assert {name for name, says in plain.items() if says == "RUNS BACKWARDS"} == {"posterize", "solarize"}
    assert plain["brightness"] == "GOES UP AND DOWN"
    assert {name for name, says in increasing.items() if says != "grows with M"} == {"identity"}


@pytest.mark.parametrize("space", ["autoaugment", "wide", "augmix"])
def test_no_operation_of_the_other_policies_runs_backwards(space):
    assert "RUNS BACKWARDS" not in found(space).values()


def test_strength_is_the_mean_change_over_draws():
    images, policy = torch.stack([picture(), picture().flip(2)]), TrivialAugment()
    told = strength(policy, images, torch.Generator().manual_seed(3), draws=4)
    generator = torch.Generator().manual_seed(3)
    slow = [(policy(images, generator) - images).abs().mean().item() for _ in range(4)]
    assert told.item() == pytest.approx(sum(slow) / 4, abs=1e-6)
    assert strength(RandAugment(0), images, generator).item() == 0
    eight_bit = (images * 255).round().to(torch.uint8)
    assert strength(policy, eight_bit, torch.Generator().manual_seed(3), 4).item() == pytest.approx(
        told.item(), abs=0.01
    )
    with pytest.raises(ValueError, match="draws: expected 1 or more, got 0"):
        strength(policy, images, generator, draws=0)


def test_the_curve_is_the_strength_at_each_m_with_the_same_draws():
    images, policy = picture()[None].repeat(6, 1, 1, 1), RandAugment(2, 9)
    curve = strength_curve(policy, images, torch.Generator().manual_seed(1), draws=6)
    assert curve.shape == (31,)
    for m in (0, 9, 30):
        alone = strength(RandAugment(2, m), images, torch.Generator().manual_seed(1), draws=6)
        assert curve[m].item() == pytest.approx(alone.item(), abs=1e-7)
    assert curve[30] > curve[9] > curve[0]
    # timm stops at M = 10: beyond it the curve is flat.
    timm = strength_curve(RandAugment(2, 9, "timm"), images, torch.Generator().manual_seed(1), draws=2)
    assert timm[10:].unique().numel() == 1


def test_verdicts():
    assert verdict([0, 0, 0]) == "does nothing"
    assert verdict([0, 1, 2, 2]) == "grows with M"
    assert verdict([0, 2, 1.7, 2]) == "grows with M"  # a wobble
    assert verdict([2, 1, 0]) == "RUNS BACKWARDS"
    assert verdict([2, 1, 1.3, 0]) == "RUNS BACKWARDS"
    assert verdict([1, 0, 3]) == verdict([3, 0, 1]) == "GOES UP AND DOWN"
