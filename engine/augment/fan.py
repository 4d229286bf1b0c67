"""The fan of views of plain test-time augmentation, and the way back of what was found in a view.

A view is the picture moved, or changed in place. `FAN[name].see(images)` takes (B, C, S, S) in [0, 1] and returns the
same shape and range; moved pictures are continued by their mirror image, so that no black corners come in. Boxes,
points and maps found in a view are carried back to the picture, each pixel to where it came from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.augment import operations
from engine.augment.filters import gaussian_blur
from engine.ops.boxes import clip
from engine.ops.warp import Interpolation, rotation, translation, warp, zoom

SHIFT, BLUR = 1 / 14, 1 / 40
"""Shares of the side: by how much a view is shifted, and the deviation of its blur."""
Name = Literal[
    "as it is", "mirrored", "upside down", "half turn", "quarter left", "quarter right", "turn left", "turn right",
    "shift left", "shift right", "shift up", "shift down", "zoom in", "zoom out", "brighter", "darker", "blurred",
    "sharper",
]  # fmt: skip
"""Every view. The first is no view: the picture as it is."""


def still(size: int) -> Tensor:
    return torch.eye(2, 3)


@dataclass(frozen=True)
class View:
    """A way to look. move(size): the matrix (2, 3) from a place in the view to its place in the picture, in pixels
    about the centre. change: what becomes of the pixels.
    """

    move: Callable[[int], Tensor] = still
    change: Callable[[Tensor], Tensor] = lambda images: images

    def see(self, images: Tensor) -> Tensor:
        return self.change(moved(images, self.move(images.shape[-1])))

    def boxes_back(self, boxes: Tensor, size: int) -> Tensor:
        """Boxes (..., 4) of the view as boxes of the picture: the hull of their corners, cut at the border.

        Turned by less than a quarter a hull is larger than what it holds.
        """
        corners = self.points_back(boxes[..., [0, 1, 2, 1, 0, 3, 2, 3]].unflatten(-1, (4, 2)), size)
        return clip(torch.cat((corners.amin(dim=-2), corners.amax(dim=-2)), dim=-1), size, size)

    def points_back(self, points: Tensor, size: int) -> Tensor:
        """Points (..., 2), x and y, of the view as points of the picture."""
        matrix = self.move(size).to(points)
        return (points - size / 2) @ matrix[:, :2].mT + matrix[:, 2] + size / 2

    def maps_back(self, maps: Tensor, how: Interpolation = "bilinear") -> tuple[Tensor, Tensor]:
        """Maps (B, K, S, S) of the view as maps of the picture, and which of its pixels the view shows, (S, S) bool.

        What the view does not show is 0.
        """
        back = inverse(self.move(maps.shape[-1]))
        if plain(back):
            return moved(maps, back), torch.ones(maps.shape[-2:], dtype=torch.bool, device=maps.device)
        share = warp(torch.ones_like(maps[:1, :1]), back[None].to(maps), how)
        found = warp(maps, back.to(maps).expand(len(maps), 2, 3), how)
        return torch.where(share > 0.5, found / share.clamp(min=0.5), 0), share[0, 0] > 0.5


def inverse(matrix: Tensor) -> Tensor:
    """The matrix (2, 3) that undoes another."""
    turn = torch.linalg.inv(matrix[:, :2].double())
    return torch.cat((turn, -(turn @ matrix[:, 2:].double())), dim=1).to(matrix.dtype)


def plain(matrix: Tensor) -> bool:
    """Whether it only swaps and mirrors the axes, so that every pixel falls on a pixel."""
    turn = matrix[:, :2].abs().round(decimals=6).sort().values
    return bool(matrix[:, 2].eq(0).all() and turn.eq(torch.tensor([0.0, 1.0])).all())


def moved(images: Tensor, matrix: Tensor) -> Tensor:
    """Square images drawn through one matrix; to the bit where it is `plain`, else bilinear, continued by their mirror
    image."""
    height, width = images.shape[-2:]
    if height != width:
        raise ValueError(f"images: views are for square pictures, got {height} x {width} pixels")
    if plain(matrix):
        (a, b), (c, d) = matrix[:, :2].round().int().tolist()
        if a == 0:  # x in the picture is y in the view: row and column change places
            images, a, d = images.mT, c, b
        axes = [axis for axis, sign in ((-1, a), (-2, d)) if sign < 0]
        return images.flip(axes) if axes else images
    edge = -(-height // 4)
    padded = F.pad(images, (edge, edge, edge, edge), "reflect")
    drawn = warp(padded, matrix.to(images).expand(len(images), 2, 3))
    return drawn[..., edge : edge + height, edge : edge + width].clamp(0, 1)


def matrix(a: float, b: float, c: float, d: float) -> Callable[[int], Tensor]:
    return lambda size: torch.tensor([[a, b, 0.0], [c, d, 0.0]])


def turned(degrees: float) -> Callable[[int], Tensor]:
    return lambda size: rotation(torch.tensor(degrees))


def zoomed(factor: float) -> Callable[[int], Tensor]:
    return lambda size: zoom(torch.tensor(factor))


def shifted(right: int, down: int) -> Callable[[int], Tensor]:
    """By whole pixels."""

    def move(size: int) -> Tensor:
        far = max(1, round(SHIFT * size))
        return translation(torch.tensor(float(right * far)), torch.tensor(float(down * far)))

    return move


def blurred(images: Tensor) -> Tensor:
    sigma = BLUR * images.shape[-1]
    radius = min(images.shape[-1] - 1, max(1, round(3 * sigma)))
    return gaussian_blur(images, images.new_full((len(images),), sigma), radius)


def sharper(images: Tensor) -> Tensor:
    return operations.sharpness(images, images.new_full((len(images),), 1.0))


FAN: dict[Name, View] = {
    "as it is": View(),
    "mirrored": View(matrix(-1, 0, 0, 1)),
    "upside down": View(matrix(1, 0, 0, -1)),
    "half turn": View(matrix(-1, 0, 0, -1)),
    "quarter left": View(matrix(0, -1, 1, 0)),
    "quarter right": View(matrix(0, 1, -1, 0)),
    "turn left": View(turned(12.0)),
    "turn right": View(turned(-12.0)),
    "shift left": View(shifted(-1, 0)),
    "shift right": View(shifted(1, 0)),
    "shift up": View(shifted(0, -1)),
    "shift down": View(shifted(0, 1)),
    "zoom in": View(zoomed(1.15)),
    "zoom out": View(zoomed(1 / 1.15)),
    "brighter": View(change=lambda images: images.pow(0.7)),
    "darker": View(change=lambda images: images.pow(1.4)),
    "blurred": View(change=blurred),
    "sharper": View(change=sharper),
}
NAMES: tuple[Name, ...] = tuple(FAN)


def fan(images: Tensor) -> Tensor:
    """(K, B, C, S, S): the pictures (B, C, S, S) in all views, in their order."""
    return torch.stack([view.see(images) for view in FAN.values()])
