"""What RandAugment did, in words, and how far each operation takes the pixels."""

import pytest
import torch

from engine.augment import OPERATIONS, Decisions, RandAugment, apply_operation
from engine.augment.inspect import applied, contact_sheet, verdict


def picture(channels=3, size=32):
    """A tilted ramp with a blob: no operation leaves it alone, and no pixel is white."""
    y, x = torch.meshgrid(torch.arange(size) / size, torch.arange(size) / size, indexing="ij")
    blob = 0.4 * (-20 * ((x - 0.4) ** 2 + (y - 0.6) ** 2)).exp()
    return torch.stack([0.1 + 0.3 * x + blob, 0.1 + 0.3 * y + blob, 0.5 - 0.2 * x + 0.3 * y][:channels])


def test_decisions_in_words_carry_the_argument_that_was_used():
    names = ["rotate", "translate_x", "brightness", "posterize", "solarize", "equalize", "shear_y"]
    operation = torch.tensor([[OPERATIONS.index(name) for name in names]])
    augment = RandAugment(1, 15)
    said = applied(augment, Decisions(operation, -torch.ones_like(operation)), (100, 331))
    # Half of 30 degrees, of 150 px at width 331, of 0.9 and of 0.3; 8 - 15 / 7.5 bits; half of 255.
    assert said == ["rotate -15°", "translate x -75 px", "brightness -45%", "posterize to 6 bits",
                    "solarize from 128 up", "equalize", "shear y -0.15"]  # fmt: skip


def test_operations_are_listed_in_the_order_of_their_application():
    decisions = Decisions(torch.tensor([[13, 0], [12, 5]]), torch.ones(2, 2, dtype=torch.int64))
    assert applied(RandAugment(2, 30), decisions, (8, 8)) == ["equalize, autocontrast", "identity, rotate +30°"]
    assert applied(RandAugment(0), RandAugment(0).draw(2, torch.Generator()), (8, 8)) == ["nothing", "nothing"]


@pytest.mark.parametrize("scale", ["torchvision", "tf"])
def test_the_sheet_is_each_operation_alone(scale):
    image = picture()
    pictures, change = contact_sheet(image, scale, -1)
    assert pictures.shape == (31, 14, 3, 32, 32)
    for m in (0, 7, 30):
        for i, name in enumerate(OPERATIONS):
            alone = apply_operation(image[None], name, m, -1, scale)[0]
            assert torch.allclose(pictures[m, i], alone, atol=1e-6), (m, name)
            assert change[m, i].item() == pytest.approx((alone - image).abs().mean().item(), abs=1e-6)


def test_torchvisions_scale_grows_and_the_released_one_runs_backwards():
    def found(scale):
        change = contact_sheet(picture(), scale)[1]
        return {name: verdict(change[:, i].tolist()) for i, name in enumerate(OPERATIONS)}

    fair = found("torchvision")
    assert {name for name, says in fair.items() if says != "grows with M"} == {"identity"}
    released = found("tf")
    assert released["posterize"] == released["solarize"] == "RUNS BACKWARDS"
    assert released["rotate"] != "RUNS BACKWARDS"
    assert released["brightness"] == "GOES UP AND DOWN"  # 0.1 at M = 0, the picture itself at M = 5


def test_verdicts():
    assert verdict([0, 0, 0]) == "does nothing"
    assert verdict([0, 1, 2, 2]) == "grows with M"
    assert verdict([0, 2, 1.7, 2]) == "grows with M"  # a wobble
    assert verdict([2, 1, 0]) == "RUNS BACKWARDS"
    assert verdict([2, 1, 1.3, 0]) == "RUNS BACKWARDS"
    assert verdict([1, 0, 3]) == verdict([3, 0, 1]) == "GOES UP AND DOWN"
