"""A residual network for pictures of 28 to 64 pixels, small enough to train in a minute on two cores."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import StochasticDepth


class ResidualBlock(nn.Module):
    """x + conv(dropout(relu(conv x))), each conv 3x3 with batch norm (He et al. 2016); a strided one when it widens.

    dropout: between the convolutions, on whole channels. drop_path: chance that an image skips the block's branch.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, dropout: float = 0.0, drop_path: float = 0.0):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Dropout2d(dropout),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
            StochasticDepth(drop_path, mode="row"),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x))


class SmallResNet(nn.Module):
    """(B, channels, H, W) -> pooled features (B, 4 * width). 77 000 parameters at width 16.

    A strided 3x3 convolution, then three residual blocks of width, 2 width, 4 width at strides 2, 4, 8.
    drop_path grows linearly over the blocks to this value (Huang et al. 2016).
    """

    def __init__(self, channels: int, width: int = 16, dropout: float = 0.0, drop_path: float = 0.0):
        super().__init__()
        self.out_features = 4 * width
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(
            ResidualBlock(width, width, 1, dropout, drop_path / 3),
            ResidualBlock(width, 2 * width, 2, dropout, drop_path * 2 / 3),
            ResidualBlock(2 * width, 4 * width, 2, dropout, drop_path),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def maps(self, images: Tensor) -> Tensor:
        """Features before pooling, (B, 4 * width, H / 8, W / 8) rounded up."""
        return self.blocks(self.stem(images))

    def forward(self, images: Tensor) -> Tensor:
        return self.maps(images).mean(dim=(2, 3))
