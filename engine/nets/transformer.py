"""A transformer whose features are its class token, behind the shape of any backbone, with a choice of stem.

Features learned without labels are read from it, and maps of where its class token looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, cast

import torch
from torch import Tensor, nn

from engine.nets.classifier import Backbone
from engine.nets.normalise import PIXELS, Normalise
from engine.nets.vit import Block, ClassToken, PatchEmbed

Stem = Literal["convolutional", "patch"]


class ConvolutionalStem(PatchEmbed):
    """(B, C, H, W) -> (B, L, width): 3x3 convolutions of stride 2 with batch norm and ReLU until a token is left of
    every patch x patch square, then one of 1x1 (Xiao et al., NeurIPS 2021, arXiv:2106.14881, sec. 4).

    Channels double up to `width`. ValueError when the patch is no power of 2.
    """

    def __init__(self, channels: int, patch: int, width: int):
        check_stem("convolutional", patch)
        super().__init__(width, 1, width)
        halvings = patch.bit_length() - 1
        layers: list[nn.Module] = []
        for after in reversed(range(halvings)):
            wide = max(1, width >> after)
            layers += [nn.Conv2d(channels, wide, 3, 2, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
            channels = wide
        self.convolutions = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(self.convolutions(images))


def transformer(
    channels: int, *, size: int, patch: int, width: int, depth: int, heads: int, stem: Stem = "patch"
) -> Backbone:
    """Images (B, channels, size, size) in [0, 1] -> class tokens (B, width); see `VisionTransformer` for the sizes.

    It begins as MoCo v3's (Chen, Xie & He, ICCV 2021): with a class token near 0, patches without a bias, and queries,
    keys and values drawn as three maps: Xavier's bound is that of width x width, not of width x 3 width.
    """
    net = ClassToken(channels, size, patch, width, depth, heads)
    if stem == "convolutional":
        net.patch_embed = ConvolutionalStem(channels, patch, width)
    nn.init.normal_(net.cls_token, std=1e-6)
    nn.init.zeros_(cast("Tensor", net.patch_embed.proj.bias))
    for block in cast("Iterable[Block]", net.blocks):
        for part in block.attn.qkv.weight.detach().chunk(3):
            nn.init.xavier_uniform_(part)
    # On a CPU, too, convolutions are faster with channels last.
    return Backbone(Normalise(*PIXELS[channels]), net, width).to(memory_format=torch.channels_last)


def check_sizes(sides: Mapping[str, int], *, patch: int, width: int, heads: int, stem: Stem) -> None:
    """ValueError when patches do not divide a side (name -> pixels) or heads the width, or the stem has no such
    patches."""
    for name, side in sides.items():
        if side % patch:
            raise ValueError(f"patch {patch} does not divide the {name} of {side}; choose a divisor")
    if width % heads:
        raise ValueError(f"heads {heads} does not divide the width of {width}; choose a divisor")
    check_stem(stem, patch)


def check_stem(stem: Stem, patch: int) -> None:
    """ValueError when the stem cannot make tokens of such patches."""
    if stem == "convolutional" and (patch < 2 or patch & (patch - 1)):
        raise ValueError(
            f"patch {patch} is not 2, 4, 8 or another power of 2, as a convolutional stem halves; change it, or stem"
        )


def transformer_in(backbone: Backbone, name: str) -> ClassToken:
    """The transformer behind a backbone, called by `name` where there is none. ValueError: it is another network."""
    if not isinstance(backbone.net, ClassToken):
        raise ValueError(f"backbone: {name} has no attention to look at; take one trained with vit")
    return backbone.net


def first_layer(net: nn.Module) -> nn.Module:
    """What pixels go through first: the stem of our transformer, the first convolution of another network."""
    return next(part for part in net.modules() if isinstance(part, (PatchEmbed, nn.Conv2d)))
