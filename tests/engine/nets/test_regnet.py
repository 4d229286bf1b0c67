"""RegNetY: its widths by definition and as published, timm's weights, groups, and the gate."""

import math

import pytest
import timm
import torch

from engine.nets.regnet import Block, RegNetY, Squeeze, stages

Y002 = (24, 36.44, 2.49, 13, 8)
PUBLISHED = {
    "regnety_002": (Y002, (24, 56, 152, 368), (1, 1, 4, 7)),
    "regnety_004": ((48, 27.89, 2.09, 16, 8), (48, 104, 208, 440), (1, 3, 6, 6)),
    "seer": ((456, 160.83, 2.52, 27, 264), (528, 1056, 2904, 7392), (2, 7, 17, 1)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_stages_are_the_published_ones(name):
    asked, widths, depths = PUBLISHED[name]
    assert stages(*asked) == (widths, depths)


@pytest.mark.parametrize("asked", [Y002, (16, 16.0, 2.0, 4, 8), (32, 50.0, 2.2, 20, 24), (80, 42.6, 2.6, 14, 120)])
def test_widths_are_near_the_line_rise_and_are_divided_by_the_group(asked):
    w0, wa, wm, depth, group = asked
    widths, depths = stages(*asked)
    assert sum(depths) == depth
    assert list(widths) == sorted(set(widths))
    assert all(width % min(group, width) == 0 for width in widths)
    blocks = [width for width, times in zip(widths, depths, strict=True) for _ in range(times)]
    for block, width in enumerate(blocks):
        # Rounding a power of wm is off by sqrt(wm) at most, the two others by 4 channels and by half a group.
        off = abs(math.log((w0 + wa * block) / width))
        assert off <= math.log(wm) / 2 + math.log(1 + (4 + group / 2) / min(w0, width))


def test_it_computes_what_timm_computes():
    theirs = timm.create_model("regnety_002", num_classes=0).eval()
    ours = RegNetY(3, *stages(*Y002)).eval()
    for module in theirs.modules():  # so that batch norm does something
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    ours.load_state_dict(theirs.state_dict())
    images = torch.rand(2, 3, 64, 48)
    torch.testing.assert_close(ours(images), theirs(images))
    assert ours.out_features == theirs.num_features


def test_groups_keep_to_themselves():
    """What the second group of channels holds does not reach the first one through the 3x3 convolution."""
    conv = Block(16, 16, 1, 8, 0.25).eval().conv2
    x = torch.rand(1, 16, 6, 6)
    other = x.clone()
    other[:, 8:] += 1
    assert torch.equal(conv(x)[:, :8], conv(other)[:, :8])
    assert not torch.equal(conv(x)[:, 8:], conv(other)[:, 8:])


def test_the_gate_is_between_none_and_all_of_a_channel():
    squeeze = Squeeze(12, 3)
    x = 5 * torch.randn(4, 12, 7, 7)
    gate = squeeze.gate(x)
    assert gate.shape == (4, 12, 1, 1)
    assert ((gate > 0) & (gate < 1)).all()
    torch.testing.assert_close(squeeze(x), x * gate)
    torch.testing.assert_close(squeeze.gate(x.flip(-1)), gate)  # it sees averages only


@pytest.mark.parametrize(("first", "side"), [(2, 4), (1, 7)])
def test_each_stage_halves_the_picture(first, side):
    net = RegNetY(1, (16, 32), (1, 2), stem=16, first=first)
    assert net.maps(torch.rand(3, 1, 28, 28)).shape == (3, 32, side, side)
    assert net(torch.rand(3, 1, 28, 28)).shape == (3, 32)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ((4, 16, 2.0, 4, 8), "first width of 8 or more, got 4"),
        ((16, -1, 2.0, 4, 8), "slope of 0 or more, so that widths do not shrink, got -1"),
        ((16, 16, 1.0, 4, 8), "factor above 1 from stage to stage, got 1.0"),
        ((16, 16, 2.0, 0, 8), "depth and group: expected 1 or more, got 0 and 8"),
    ],
)
def test_what_cannot_be_is_told(asked, says):
    with pytest.raises(ValueError, match=says):
        stages(*asked)


def test_a_group_that_does_not_divide_a_stage_is_told():
    with pytest.raises(ValueError, match="group: 12 channels a group do not divide a stage of 32; choose another"):
        RegNetY(1, (24, 32), (1, 1), group=12)
    with pytest.raises(ValueError, match="expected one of each a stage, got 2 and 1"):
        RegNetY(1, (24, 32), (1,))
