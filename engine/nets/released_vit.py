"""Vision transformers that others released, as far as lenses need them: class token and attention.

Weights are named as in timm. Files of facebookresearch/dino hold them plainly (`dino_deitsmall16_pretrain.pth`) or, of
a whole training, with a prefix and a head.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from engine.nets.normalise import PIXELS, Normalise
from engine.nets.vit import ClassToken, sincos_positions

PREFIXES = ("module.", "backbone.")
"""What names of weights may begin with, one after the other."""
HEAD = "head."
"""How names begin that are of no use here: of a classifier, or of the head that training throws away."""
A_HEAD = 64
"""Numbers of an attention head in all that are released: ViT-Ti, S, B, L have widths of 192, 384, 768, 1024."""


class ReleasedViT(ClassToken):
    """Images (B, channels, H, W) in [0, 1] -> class token (B, width), with positions that were learned."""

    def __init__(self, channels: int, size: int, patch: int, width: int, depth: int):
        super().__init__(channels, size, patch, width, depth, max(1, width // A_HEAD))
        self.normalise = Normalise(*PIXELS[channels])

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> ReleasedViT:
        """A network of the sizes of released weights, with them. ValueError: weights that are of something else."""
        found = plain(weights)
        width, channels, patch, _ = found["patch_embed.proj.weight"].shape
        grid = round((found["pos_embed"].shape[1] - 1) ** 0.5)
        if channels not in PIXELS or 1 + grid**2 != found["pos_embed"].shape[1]:
            raise ValueError(
                f"it takes {channels} channels and has {found['pos_embed'].shape[1]} positions; expected 1 or 3, and a "
                "square number with one more for the class token"
            )
        depth = 1 + max(int(name.split(".")[1]) for name in found if name.startswith("blocks."))
        model = ReleasedViT(channels, patch * grid, patch, width, depth)
        model.load_state_dict(found)
        return model

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(self.normalise(images))

    def attention(self, images: Tensor) -> list[Tensor]:
        return super().attention(self.normalise(images))


def plain(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The backbone's weights under their own names."""
    found = dict(weights)
    for prefix in PREFIXES:
        found = {name.removeprefix(prefix): value for name, value in found.items()}
    return {name: value for name, value in found.items() if not name.startswith(HEAD)}


def learned_positions(weights: Mapping[str, Tensor]) -> bool:
    """Whether they are a transformer's with a class token whose positions are not the fixed sines and cosines, which a
    masked autoencoder's are."""
    found = plain(weights)
    if not {"cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight"} <= found.keys():
        return False
    _, count, width = found["pos_embed"].shape
    grid = round((count - 1) ** 0.5)
    if 1 + grid**2 != count or width % 4:
        return True
    return not torch.allclose(found["pos_embed"].float(), sincos_positions(width, grid, grid), atol=1e-3)
