"""The feature pyramid against torchvision by copied weights, and its linearity."""

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from engine.nets.fpn import FeaturePyramid

INPUTS = (4, 6, 8)


def maps(sizes: list[tuple[int, int]]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, c, *size, generator=generator) for c, size in zip(INPUTS, sizes, strict=True)]


EVEN, ODD = [(16, 24), (8, 12), (4, 6)], [(75, 113), (38, 57), (19, 29)]


@pytest.mark.parametrize("coarser", [False, True])
@pytest.mark.parametrize("sizes", [EVEN, ODD])
def test_agrees_with_torchvision_by_copied_weights(sizes, coarser):
    ours = FeaturePyramid(INPUTS, 16, coarser)
    theirs = FeaturePyramidNetwork(list(INPUTS), 16, LastLevelP6P7(INPUTS[-1], 16) if coarser else None)
    pairs = [*zip(theirs.inner_blocks, ours.lateral, strict=True), *zip(theirs.layer_blocks, ours.output, strict=True)]
    for to, source in pairs:
        to[0].load_state_dict(source.state_dict())
    if coarser:
        theirs.extra_blocks.p6.load_state_dict(ours.coarser[0].state_dict())
        theirs.extra_blocks.p7.load_state_dict(ours.coarser[1].state_dict())
    levels = maps(sizes)
    expected = theirs({str(i): level for i, level in enumerate(levels)}).values()
    for mine, other in zip(ours(levels), expected, strict=True):
        torch.testing.assert_close(mine, other)


def test_the_coarsest_map_reaches_the_finest_level_by_nearest_upsampling():
    net = FeaturePyramid(INPUTS, 16)
    levels = [torch.zeros_like(level) for level in maps(EVEN)]
    levels[2] = maps(EVEN)[2]
    merged = net.lateral[2](levels[2]).repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(net(levels)[0], net.output[0](merged))


def test_no_activation_on_the_way():
    net = FeaturePyramid(INPUTS, 16)
    levels = maps(EVEN)
    for straight, mirrored in zip(net(levels), net([-level for level in levels]), strict=True):
        torch.testing.assert_close(straight, -mirrored)  # biases start at 0


def test_coarser_levels_halve_the_size():
    pyramid = FeaturePyramid(INPUTS, 16, coarser=True)(maps(ODD))
    assert [tuple(level.shape[-2:]) for level in pyramid] == [*ODD, (10, 15), (5, 8)]
    assert F.relu(pyramid[3]).std() > 0


def test_bad_input():
    net = FeaturePyramid(INPUTS, 16)
    with pytest.raises(ValueError, match="expected 3 feature maps, got 2"):
        net(maps(EVEN)[:2])
    with pytest.raises(ValueError, match="from fine to coarse"):
        FeaturePyramid((8, 6, 4))(maps(EVEN)[::-1])
    with pytest.raises(ValueError, match="inputs: expected the channels of one feature map or more"):
        FeaturePyramid(())
