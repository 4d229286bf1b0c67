"""The four-block network of few-shot learning."""

from __future__ import annotations

from torch import Tensor, nn


class ConvNet4(nn.Sequential):
    """Four times 3x3 convolution, batch norm, ReLU, 2x2 max pooling; flattened (Snell et al. 2017, sec. 3.1).

    (B, channels, H, W) -> (B, width * (H // 16) * (W // 16)): `width` features at 28 pixels, 1600 at 84 with width 64.
    """

    def __init__(self, channels: int, width: int = 64):
        layers: list[nn.Module] = []
        for block in range(4):
            inputs = width if block else channels
            layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
        super().__init__(*layers, nn.Flatten())

    def forward(self, images: Tensor) -> Tensor:
        if min(images.shape[-2:]) < 16:
            height, width = images.shape[-2:]
            raise ValueError(f"images: four poolings need 16 pixels a side or more, got {height} x {width}")
        return super().forward(images)
