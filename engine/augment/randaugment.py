"""RandAugment (Cubuk, Zoph, Shlens, Le, NeurIPS 2020, arXiv:1909.13719), one decision for each image of a batch.

Each image goes through n operations, drawn uniformly and with replacement from fourteen, all at one magnitude m; the
arguments of geometric (and, in torchvision's scale, enhancing) operations are negated with probability 1/2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.augment import operations
from engine.augment.images import check_images, white
from engine.augment.magnitudes import LARGEST, Scale, arguments, check_scale
from engine.augment.operations import OPERATIONS, Operation
from engine.ops.choose import choose, host_generator
from engine.ops.warp import Interpolation, warp

WARP = len(OPERATIONS)
"""The five geometric operations, done as one."""

PIXELWISE: dict[int, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    Operation.BRIGHTNESS: lambda images, change, _: operations.brightness(images, change),
    Operation.COLOR: lambda images, change, _: operations.color(images, change),
    Operation.CONTRAST: lambda images, change, _: operations.contrast(images, change),
    Operation.SHARPNESS: lambda images, change, _: operations.sharpness(images, change),
    Operation.POSTERIZE: lambda images, bits, _: operations.posterize(images, bits),
    Operation.SOLARIZE: lambda images, threshold, _: operations.solarize(images, threshold),
    Operation.AUTOCONTRAST: lambda images, *_: operations.autocontrast(images),
    Operation.EQUALIZE: lambda images, *_: operations.equalize(images),
}
"""What is done to images, given their numbers and matrices."""


@dataclass(frozen=True)
class Decisions:
    """What happens to B images. operation, sign: (n, B), indices into OPERATIONS and +1 or -1; applied row by row."""

    operation: Tensor
    sign: Tensor


@dataclass(frozen=True)
class RandAugment:
    """n operations of magnitude m (0..30); `scale`: see `engine.augment.magnitudes.magnitudes`.

    interpolation and fill (one value or one a channel, in the images' units) are the warps'. Images (B, C, H, W), C of
    1 or 3, uint8 or float in [0, 1], not yet normalised; the same shape and type come back. On uint8 an image becomes
    what torchvision makes of it with the same operations and signs, to the bit.

    Decisions are drawn on the host, from a generator anywhere, and never make it wait for the images' device.
    """

    n: int = 2
    m: int = 9
    scale: Scale = "torchvision"
    interpolation: Interpolation = "nearest"
    fill: float | tuple[float, ...] = 0.0

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError(f"n: expected 0 or more operations, got {self.n}")
        if isinstance(self.m, bool) or not isinstance(self.m, int) or not 0 <= self.m <= LARGEST:
            raise ValueError(f"m: expected a whole number from 0 to {LARGEST}, got {self.m!r}")
        check_scale(self.scale)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return self.apply(images, self.draw(len(images), generator))

    def draw(self, batch: int, generator: torch.Generator) -> Decisions:
        """Decisions for `batch` images."""
        host = host_generator(generator)
        operation = torch.randint(len(OPERATIONS), (self.n, batch), generator=host)
        return Decisions(operation, 1 - 2 * torch.randint(2, (self.n, batch), generator=host))

    def apply(self, images: Tensor, decisions: Decisions) -> Tensor:
        """The images after the decided operations."""
        check_images(images)
        if decisions.operation.shape[1:] != images.shape[:1]:
            raise ValueError(f"decisions: they are for {decisions.operation.shape[1]} images, not {len(images)}")
        fills = self.fill if isinstance(self.fill, tuple) else (self.fill,)
        if not all(0 <= fill <= white(images) for fill in fills):
            raise ValueError(f"fill: expected 0 to {white(images)} for images of {images.dtype}, got {self.fill}")
        number, matrix = arguments(self.scale, self.m, (images.shape[2], images.shape[3]))
        for operation, sign in zip(decisions.operation, decisions.sign, strict=True):
            row = (sign < 0).long()
            images = self._layer(images, operation, number[row, operation], matrix[row, operation])
        return images

    def _layer(self, images: Tensor, operation: Tensor, number: Tensor, matrix: Tensor) -> Tensor:
        """One operation an image. operation, number (B,); matrix (B, 2, 3)."""
        warps = (operation >= Operation.SHEAR_X) & (operation <= Operation.ROTATE)

        def warped(images: Tensor, _: Tensor, matrix: Tensor) -> Tensor:
            return warp(images, matrix, self.interpolation, self.fill)

        return choose(images, operation.masked_fill(warps, WARP), PIXELWISE | {WARP: warped}, number, matrix)


def apply_operation(images: Tensor, name: str, m: int, sign: int = 1, scale: Scale = "torchvision") -> Tensor:
    """All images through one operation at magnitude m, negated if sign is -1: a cell of a contact sheet."""
    if name not in OPERATIONS:
        raise ValueError(f"name: {name!r} is not one of {', '.join(OPERATIONS)}")
    if sign not in (1, -1):
        raise ValueError(f"sign: expected 1 or -1, got {sign}")
    operation = torch.full((1, len(images)), OPERATIONS.index(name))
    return RandAugment(1, m, scale).apply(images, Decisions(operation, torch.full_like(operation, sign)))
