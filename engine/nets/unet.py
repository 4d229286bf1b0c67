"""A small U-Net (Ronneberger et al. 2015) for per-pixel answers."""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DropoutPlaces = Literal["centre", "decoder", "all"]


class _DoubleConv(nn.Sequential):
    """Twice 3x3 convolution, group norm, ReLU; then dropout."""

    def __init__(self, inputs: int, outputs: int, dropout: float):
        layers: list[nn.Module] = []
        for width in (inputs, outputs):
            layers += [nn.Conv2d(width, outputs, 3, padding=1, bias=False), _group_norm(outputs), nn.ReLU()]
        super().__init__(*layers, nn.Dropout(dropout))


class SmallUNet(nn.Module):
    """(B, channels, H, W) -> logits (B, classes, H, W), for any size of 2^depth pixels a side or more.

    `depth` poolings, from `width` channels at full size to width * 2^depth at the bottom. Unlike the paper: padded
    convolutions, group norm (small batches), and nearest upsampling to the size of the skip, so that odd sizes fit.

    dropout: element by element at the end of the chosen levels (Kendall et al. 2015): "centre", the bottom and its two
    neighbours; "decoder", the whole way up; "all", everywhere.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        width: int = 8,
        depth: int = 4,
        dropout: float = 0.0,
        places: DropoutPlaces = "centre",
    ):
        super().__init__()
        if depth < 1:
            raise ValueError(f"depth: expected 1 or more, got {depth}")
        if places not in get_args(DropoutPlaces):
            raise ValueError(f"places: expected one of {', '.join(get_args(DropoutPlaces))}, got {places!r}")
        widths = [width * 2**level for level in range(depth + 1)]
        deepest = depth - 1
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level in range(depth):
            central = places == "all" or (places == "centre" and level == deepest)
            inputs = widths[level - 1] if level else channels
            self.down.append(_DoubleConv(inputs, widths[level], dropout if central else 0.0))
            rising = central or places == "decoder"
            self.up.append(_DoubleConv(widths[level] + widths[level + 1], widths[level], dropout if rising else 0.0))
        bottom = 0.0 if places == "decoder" else dropout
        self.bottom = _DoubleConv(widths[deepest], widths[depth], bottom)
        self.head = nn.Conv2d(width, classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        if min(height, width) < 2 ** len(self.down):
            raise ValueError(
                f"images: {len(self.down)} poolings need {2 ** len(self.down)} pixels a side or more, "
                f"got {height} x {width}"
            )
        x, skips = images, []
        for level in self.down:
            x = level(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottom(x)
        for level, skip in zip(reversed(self.up), reversed(skips), strict=True):
            x = level(torch.cat((skip, F.interpolate(x, size=skip.shape[-2:], mode="nearest")), dim=1))
        return self.head(x)


def _group_norm(channels: int) -> nn.GroupNorm:
    """Eight groups, or as many as divide the channels when they are few."""
    groups = next(groups for groups in (8, 4, 2, 1) if channels % groups == 0)
    return nn.GroupNorm(groups, channels)
