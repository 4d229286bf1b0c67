"""A convolutional network with dropout where it is fully connected, after LeNet."""

from __future__ import annotations

from torch import nn


class DropoutLeNet(nn.Sequential):
    """(B, channels, H, W) -> logits (B, classes): twice 3x3 convolution, batch norm, ReLU, 2x2 max pooling; then a
    hidden layer, with dropout before and after it.

    The dropouts come last, so passes with different masks share the convolutions, which are nearly all the work: 20
    passes cost as many multiplications as 2.3 full ones at 28 pixels. The paper's (Gal & Ghahramani 2016, sec. 5) has
    20 and 50 channels, 500 hidden units and no batch norm. Pictures of any size of 4 pixels or more are pooled to 7x7.
    """

    def __init__(self, channels: int, classes: int, width: int = 16, hidden: int = 128, dropout: float = 0.5):
        layers: list[nn.Module] = []
        for inputs, outputs in ((channels, width), (width, 2 * width)):
            convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
        super().__init__(
            *layers, nn.AdaptiveAvgPool2d(7), nn.Flatten(),
            nn.Dropout(dropout), nn.Linear(49 * 2 * width, hidden), nn.ReLU(),
            nn.Dropout(dropout), nn.Linear(hidden, classes),
        )  # fmt: skip
