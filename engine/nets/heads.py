"""Parts of dense detectors: a small two-level backbone, and the head that all levels share."""

from __future__ import annotations

from torch import Tensor, nn


class SmallPyramid(nn.Module):
    """Images -> features (B, 64, S/8, S/8) and (B, 96, S/16, S/16)."""

    def __init__(self, channels: int):
        super().__init__()
        plan = ((channels, 16, 2), (16, 32, 2), (32, 64, 2), (64, 64, 1))
        self.fine = nn.Sequential(*(conv_block(*step) for step in plan))
        self.coarse = nn.Sequential(conv_block(64, 96, 2), conv_block(96, 96, 1))

    def forward(self, images: Tensor) -> list[Tensor]:
        fine = self.fine(images)
        return [fine, self.coarse(fine)]


def conv_block(inputs: int, outputs: int, stride: int) -> nn.Module:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.GroupNorm(8, outputs), nn.ReLU())


def dense_head(width: int, depth: int, outputs: int) -> nn.Sequential:
    """Shared by all levels; weights N(0, .01) and bias 0, as in the paper's section 4.1."""
    layers = [layer for _ in range(depth) for layer in (nn.Conv2d(width, width, 3, 1, 1), nn.ReLU())]
    net = nn.Sequential(*layers, nn.Conv2d(width, outputs, 3, 1, 1))
    for layer in net:
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.normal_(layer.weight, std=0.01 if layer is net[-1] else (2 / (9 * width)) ** 0.5)
            nn.init.zeros_(layer.bias)
    return net
