"""RegNetY: a family of networks whose widths follow a straight line, so that one recipe fits every size.

Radosavovic, Kosaraju, Girshick, He, Dollar. Designing network design spaces. CVPR 2020. arXiv:2003.13678. Modules have
the names that timm gives them, so that its weights can be loaded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

QUANTUM = 8
"""Widths are multiples of this."""


def stages(w0: float, wa: float, wm: float, depth: int, group: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Widths and depths of the stages: block j is to be u_j = w0 + wa * j wide, which is rounded to the nearest
    w0 * wm^k, then to a multiple of 8; blocks of one width are a stage (sec. 3.3, eq. 2-4).

    group: channels of a group; each width is rounded to a multiple of it, or of itself where it is narrower.
    """
    if w0 < QUANTUM:
        raise ValueError(f"w0: expected a first width of {QUANTUM} or more, got {w0}")
    if wa < 0:
        raise ValueError(f"wa: expected a slope of 0 or more, so that widths do not shrink, got {wa}")
    if wm <= 1:
        raise ValueError(f"wm: expected a factor above 1 from stage to stage, got {wm}")
    if depth < 1 or group < 1:
        raise ValueError(f"depth and group: expected 1 or more, got {depth} and {group}")
    widths = []
    for block in range(depth):
        power = round(math.log((w0 + wa * block) / w0) / math.log(wm))
        wide = round(w0 * wm**power / QUANTUM) * QUANTUM
        width = min(group, wide)
        widths.append(round(wide / width) * width)
    once = sorted(set(widths))
    return tuple(once), tuple(widths.count(width) for width in once)


class ConvNorm(nn.Module):
    """A convolution that keeps the size but for its stride, batch norm, and ReLU if asked."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return F.relu(x) if self.relu else x


class Squeeze(nn.Module):
    """Squeeze and excitation (Hu et al., CVPR 2018): each channel times a number in (0, 1) that all of the picture's
    channels, averaged over it, decide. hidden: numbers in between."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def gate(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 1, 1)."""
        return torch.sigmoid(self.fc2(F.relu(self.fc1(x.mean(dim=(2, 3), keepdim=True)))))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


class Block(nn.Module):
    """x + 1x1, grouped 3x3, squeeze, 1x1, as wide inside as outside (sec. 4: a bottleneck of ratio 1)."""

    def __init__(self, inputs: int, outputs: int, stride: int, group: int, squeeze: float):
        super().__init__()
        group = min(group, outputs)
        if outputs % group:
            raise ValueError(f"group: {group} channels a group do not divide a stage of {outputs}; choose another")
        self.conv1 = ConvNorm(inputs, outputs, 1)
        self.conv2 = ConvNorm(outputs, outputs, 3, stride, outputs // group)
        self.se = Squeeze(outputs, max(1, round(inputs * squeeze)))
        self.conv3 = ConvNorm(outputs, outputs, 1, relu=False)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = ConvNorm(inputs, outputs, 1, stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv3(self.se(self.conv2(self.conv1(x)))) + self.downsample(x))


class RegNetY(nn.Module):
    """(B, channels, H, W) -> pooled features (B, widths[-1]).

    A strided 3x3 convolution to `stem` channels, then stages of `depths` blocks, each of which begins with stride 2, or
    with `first` in the first stage: 1 for small pictures. group: channels of a group of the 3x3 convolutions. squeeze:
    what squeeze and excitation keeps, as a share of a block's input channels.
    """

    def __init__(
        self, channels: int, widths: Sequence[int], depths: Sequence[int], *,
        group: int = 8, stem: int = 32, squeeze: float = 0.25, first: int = 2,
    ):  # fmt: skip
        super().__init__()
        if not widths or len(widths) != len(depths):
            raise ValueError(f"widths and depths: expected one of each a stage, got {len(widths)} and {len(depths)}")
        self.out_features = widths[-1]
        self.stem = ConvNorm(channels, stem, 3, 2)
        self.stages = len(widths)
        inputs = stem
        for place, (width, depth) in enumerate(zip(widths, depths, strict=True), 1):
            stage = nn.Sequential()
            for block in range(1, depth + 1):
                stride = 1 if block > 1 else first if place == 1 else 2
                stage.add_module(f"b{block}", Block(inputs, width, stride, group, squeeze))
                inputs = width
            self.add_module(f"s{place}", stage)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                spread = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
                nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / spread))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def maps(self, images: Tensor) -> Tensor:
        """Features before pooling, (B, widths[-1], H', W')."""
        x = self.stem(images)
        for place in range(1, self.stages + 1):
            x = getattr(self, f"s{place}")(x)
        return x

    def forward(self, images: Tensor) -> Tensor:
        return self.maps(images).mean(dim=(2, 3))
