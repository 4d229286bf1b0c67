"""The vision transformers of MoCo v3 (Chen, Xie & He, ICCV 2021) as they were released."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

RELEASED_HEADS = 12
"""Attention heads of the released encoders, ViT-S and ViT-B alike: what the weights' shapes do not tell."""
PREFIX = "module.base_encoder."


class Sizes(NamedTuple):
    """What released weights tell: channels and side of pictures, side of a patch, numbers a token, blocks; numbers
    that the hidden layers and the last one of the heads have."""

    channels: int
    size: int
    patch: int
    width: int
    depth: int
    hidden: int
    dim: int


def is_released(weights: Mapping[str, Tensor]) -> bool:
    """Whether these are weights of the release's (facebookresearch/moco-v3, the file's "state_dict")."""
    return any(name.startswith(PREFIX) for name in weights)


def released_sizes(weights: Mapping[str, Tensor]) -> Sizes:
    """The sizes of a released network. ValueError when it is no transformer, or not the whole of one."""
    own = {name.removeprefix(PREFIX): value for name, value in weights.items() if name.startswith(PREFIX)}
    if missing := {"patch_embed.proj.weight", "pos_embed", "head.0.weight", "head.6.weight"} - own.keys():
        raise ValueError(f"it has no {min(missing)}; take vit-s-300ep or vit-b-300ep, the files before the probe")
    width, channels, patch, _ = own["patch_embed.proj.weight"].shape
    size = patch * round((own["pos_embed"].shape[1] - 1) ** 0.5)
    depth = 1 + max(int(name.split(".")[1]) for name in own if name.startswith("blocks."))
    return Sizes(channels, size, patch, width, depth, len(own["head.0.weight"]), len(own["head.6.weight"]))


def renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Released weights by the names that they have in `engine.methods.representation.moco_v3`."""
    names = {r"^module\.": "", r"^base_encoder\.": "query.", r"^momentum_encoder\.": "key.",
             r"^(query|key)\.(?!head\.)": r"\1.backbone.net."}  # fmt: skip
    found = {}
    for name, value in weights.items():
        for old, new in names.items():
            name = re.sub(old, new, name)
        found[name] = value
    return found
