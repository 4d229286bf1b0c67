"""Parts of dense detectors: a small backbone of three levels, and the head that all levels share."""

from __future__ import annotations

from torch import Tensor, nn


class SmallPyramid(nn.Module):
    """Images (B, C, S, S) -> features (B, 32, S/4, S/4), (B, 64, S/8, S/8) and (B, 96, S/16, S/16)."""

    WIDTHS: tuple[int, ...] = (32, 64, 96)
    STRIDES: tuple[int, ...] = (4, 8, 16)

    def __init__(self, channels: int):
        super().__init__()
        self.levels = nn.ModuleList(
            [
                nn.Sequential(conv_block(channels, 16, 2), conv_block(16, 32, 2), conv_block(32, 32, 1)),
                nn.Sequential(conv_block(32, 64, 2), conv_block(64, 64, 1)),
                nn.Sequential(conv_block(64, 96, 2), conv_block(96, 96, 1)),
            ]
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        found = [images]
        for level in self.levels:
            found.append(level(found[-1]))
        return found[1:]


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
