"""The views among which test-time augmentation chooses (Kim, Kim, Kim, NeurIPS 2020, arXiv:2010.11422).

A view is called as `view(images)`; images (B, C, H, W) float in [0, 1], the same shape and range back. Turned and
zoomed pictures are continued by their mirror image, so that no black corners come in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.augment import operations
from engine.ops.warp import rotation, warp, zoom

Candidate = Callable[[Tensor], Tensor]


def turn(images: Tensor, degrees: float) -> Tensor:
    """Counter-clockwise."""
    return _mirrored(images, rotation(images.new_full((len(images),), degrees)))


def magnify(images: Tensor, factor: float) -> Tensor:
    return _mirrored(images, zoom(images.new_full((len(images),), factor)))


def sharpen(images: Tensor, factor: float) -> Tensor:
    """Below 1 it smooths."""
    return operations.sharpness(images, images.new_full((len(images),), factor - 1))


def tint(images: Tensor, factor: float) -> Tensor:
    """More or less colour; of grey pictures, which have none, the gamma."""
    if images.shape[1] == 1:
        return images.pow(factor)
    return operations.color(images, images.new_full((len(images),), factor - 1))


def _mirrored(images: Tensor, matrix: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    down, across = -(-height // 4), -(-width // 4)
    padded = F.pad(images, (across, across, down, down), "reflect")
    return warp(padded, matrix)[..., down : down + height, across : across + width].clamp(0, 1)


CANDIDATES: dict[str, Candidate] = {
    "as it is": lambda images: images,
    "turn left": partial(turn, degrees=20),
    "turn right": partial(turn, degrees=-20),
    "zoom out": partial(magnify, factor=0.8),
    "zoom in": partial(magnify, factor=1.2),
    "autocontrast": operations.autocontrast,
    "sharpness 0.2": partial(sharpen, factor=0.2),
    "sharpness 0.5": partial(sharpen, factor=0.5),
    "sharpness 3": partial(sharpen, factor=3.0),
    "sharpness 4": partial(sharpen, factor=4.0),
    "colour 0.5": partial(tint, factor=0.5),
    "colour 2": partial(tint, factor=2.0),
}
"""Name -> view. The last two brighten and darken pictures without colour."""

MIRRORED = tuple(
    list(CANDIDATES).index({"turn left": "turn right", "turn right": "turn left"}.get(name, name))
    for name in CANDIDATES
)  # fmt: skip
"""The view that does to a mirrored picture what each does to the picture: turns change their sense."""


def views(images: Tensor) -> Tensor:
    """(B, K, C, H, W): each picture in all views, in their order."""
    return torch.stack([view(images) for view in CANDIDATES.values()], dim=1)
