"""The feature pyramid network (Lin et al. 2017): strong features at every resolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class FeaturePyramid(nn.Module):
    """Feature maps, fine to coarse, -> as many of `width` channels and the same sizes, or two more.

    M_l = conv1x1(C_l) + up(M_{l+1}), P_l = conv3x3(M_l), nearest upsampling, neither norm nor ReLU (sec. 3).
    coarser: add RetinaNet's P6, a strided 3x3 convolution of the coarsest input, and P7, one of ReLU(P6).
    """

    def __init__(self, inputs: Sequence[int], width: int = 256, coarser: bool = False):
        super().__init__()
        if not inputs:
            raise ValueError("inputs: expected the channels of one feature map or more, got none")
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in inputs)
        self.output = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in inputs)
        self.coarser = nn.ModuleList()
        if coarser:
            self.coarser.append(nn.Conv2d(inputs[-1], width, 3, 2, 1))
            self.coarser.append(nn.Conv2d(width, width, 3, 2, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.kaiming_uniform_(module.weight, a=1)
                nn.init.zeros_(module.bias)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        if len(maps) != len(self.lateral):
            raise ValueError(f"maps: expected {len(self.lateral)} feature maps, got {len(maps)}")
        sizes = [tuple(level.shape[-2:]) for level in maps]
        if sizes != sorted(sizes, reverse=True):
            raise ValueError(f"maps: expected them from fine to coarse, got sizes {sizes}")
        merged = self.lateral[-1](maps[-1])
        pyramid = [self.output[-1](merged)]
        for level in reversed(range(len(maps) - 1)):
            above = F.interpolate(merged, size=maps[level].shape[-2:], mode="nearest")
            merged = self.lateral[level](maps[level]) + above
            pyramid.insert(0, self.output[level](merged))
        if self.coarser:
            sixth, seventh = self.coarser
            pyramid.append(sixth(maps[-1]))
            pyramid.append(seventh(F.relu(pyramid[-1])))
        return pyramid
