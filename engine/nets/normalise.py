"""The input a network was trained on, made from images in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

PIXELS = {1: ((0.286,), (0.353,)), 3: ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))}
"""Mean and deviation that our transformers take off, by channels: those of the garments, and ImageNet's as released
ones have them."""


class Normalise(nn.Module):
    """(B, C, H, W) RGB in [0, 1] -> (x - mean) / deviation, channel by channel, after a turn to BGR if asked.

    mean, deviation: one number a channel, in the order the network wants. They are not part of a checkpoint.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float], bgr: bool = False):
        super().__init__()
        self.bgr = bgr
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).reshape(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1] != len(self.mean):
            raise ValueError(f"images: expected (B, {len(self.mean)}, H, W), got shape {tuple(images.shape)}")
        return ((images.flip(1) if self.bgr else images) - self.mean) / self.deviation
