"""What a picture must match to be the content of one and in the style of another (Gatys, Ecker, Bethge, CVPR 2016)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from engine.nets.pretrained import FeatureNet, Pooling, features
from engine.ops.gram import gram

Depth = Literal["1", "2", "3", "4", "5"]
DEPTHS: tuple[Depth, ...] = ("1", "2", "3", "4", "5")
LAYERS: dict[FeatureNet, tuple[str, ...]] = {
    "squeezenet": ("relu1", "fire3", "fire5", "fire7", "fire9"),
    "lite0": ("stem", "stage2", "stage3", "stage5", "stage7"),
    "vgg19": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
}
"""The layer of each depth; those of VGG-19 are the paper's for style (for content it takes relu4_2)."""


class Target:
    """What a picture must match: the values F of `content` and the Gram matrices G of `style`, at five depths."""

    def __init__(self, backbone: FeatureNet, pooling: Pooling, content: Tensor, style: Tensor):
        self.network = features(backbone, pooling).to(content.device)
        self.layers = dict(zip(DEPTHS, LAYERS[backbone], strict=True))
        with torch.no_grad():
            self.content = self.at_depths(content)
            self.grams = {depth: gram(values) for depth, values in self.at_depths(style).items()}

    def at_depths(self, images: Tensor) -> dict[Depth, Tensor]:
        """F of each depth: (B, N, H, W)."""
        values = self.network(images, self.layers.values())
        return {depth: values[layer] for depth, layer in self.layers.items()}

    def content_error(self, values: dict[Depth, Tensor], depth: Depth) -> Tensor:
        """||F - P||^2 / ||P - mean P||^2: 0 for the content picture itself, about 2 for an unrelated one."""
        wanted = self.content[depth]
        return (values[depth] - wanted).square().mean() / wanted.var()

    def style_errors(self, values: dict[Depth, Tensor]) -> dict[Depth, Tensor]:
        """||G - A||^2 / ||A||^2 of each depth: 0 for the style picture itself."""
        return {
            depth: (gram(values[depth]) - wanted).square().sum() / wanted.square().sum()
            for depth, wanted in self.grams.items()
        }
