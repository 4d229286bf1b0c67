"""What all augmentation policies share: decisions for each image, drawn on the host, and how they are carried out.

A policy says how decisions are drawn (`draw`) and in which table their magnitudes are looked up (`space`); what is then
done to the images does not depend on it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.augment import operations
from engine.augment.images import check_images, per_image, white
from engine.augment.magnitudes import Arguments, Space, arguments
from engine.augment.operations import Operation
from engine.ops.choose import choose, to
from engine.ops.warp import Interpolation, warp

WARP = len(Operation)
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
    Operation.INVERT: lambda images, *_: operations.invert(images),
}
"""What is done to images, given their numbers and matrices."""


@dataclass(frozen=True)
class Decisions:
    """What happens to B images in a number of steps, row by row; on the host.

    operation  (steps, B), of `Operation`
    magnitude  (steps, B), positions in the policy's table
    sign       (steps, B), +1 or -1
    applied    (steps, B) bool: whether the step is taken at all
    share      None: all steps follow one another. Else (1 + chains, B), with sum 1 over the rows: an image becomes the
               mean of itself and of what each chain makes of it, weighted so; the steps fall into chains evenly.
    """

    operation: Tensor
    magnitude: Tensor
    sign: Tensor
    applied: Tensor
    share: Tensor | None = None

    @classmethod
    def at(cls, m: int, operation: Tensor, sign: Tensor) -> Decisions:
        """Every step is taken, at magnitude m."""
        return cls(operation, torch.full_like(operation, m), sign, torch.ones_like(operation, dtype=torch.bool))

    @property
    def kind(self) -> Tensor:
        """(steps, B): the operations, the identity where none is applied."""
        return self.operation.masked_fill(~self.applied, Operation.IDENTITY)

    def looked_up(self, space: Space, size: tuple[int, int]) -> Arguments:
        """What each step gets: number (steps, B), matrix (steps, B, 2, 3); of images of `size` (height, width)."""
        table, at = arguments(space, size), (self.magnitude, (self.sign < 0).long(), self.operation)
        return Arguments(table.number[at], table.matrix[at])


def carry_out(
    decisions: Decisions, images: Tensor, space: Space, interpolation: Interpolation = "nearest",
    fill: float | tuple[float, ...] = 0.0,
) -> Tensor:  # fmt: skip
    """The images after the decided steps, with magnitudes from the table `space`; see `Policy`."""
    check_images(images)
    if decisions.operation.shape[1:] != images.shape[:1]:
        raise ValueError(f"decisions: they are for {decisions.operation.shape[1]} images, not {len(images)}")
    fills = fill if isinstance(fill, tuple) else (fill,)
    if not all(0 <= each <= white(images) for each in fills):
        raise ValueError(f"fill: expected 0 to {white(images)} for images of {images.dtype}, got {fill}")
    number, matrix = decisions.looked_up(space, (images.shape[2], images.shape[3]))

    def chain(images: Tensor, kind: Tensor, number: Tensor, matrix: Tensor) -> Tensor:
        for each in zip(kind, number, matrix, strict=True):
            images = _step(images, *each, interpolation, fill)
        return images

    if decisions.share is None:
        return chain(images, decisions.kind, number, matrix)
    # The chains of an image are images of one larger batch.
    chains, share = len(decisions.share) - 1, to(decisions.share, images)
    steps = (decisions.kind, number, matrix)
    beside = (each.unflatten(0, (chains, -1)).transpose(0, 1).flatten(1, 2) for each in steps)
    after = chain(images.repeat(chains, 1, 1, 1), *beside).view(chains, *images.shape)
    mixed = per_image(share[0]) * images
    for weight, each in zip(share[1:], after, strict=True):
        mixed.add_(per_image(weight) * each)
    return mixed.to(images.dtype)


def _step(
    images: Tensor, kind: Tensor, number: Tensor, matrix: Tensor, interpolation: Interpolation,
    fill: float | tuple[float, ...],
) -> Tensor:  # fmt: skip
    """One operation an image. kind, number (B,); matrix (B, 2, 3)."""

    def warped(images: Tensor, _: Tensor, matrix: Tensor) -> Tensor:
        return warp(images, matrix, interpolation, fill)

    return choose(images, kind.masked_fill(is_warp(kind), WARP), PIXELWISE | {WARP: warped}, number, matrix)


def is_warp(kind: Tensor) -> Tensor:
    """Which operations are geometric, as bool."""
    return (kind >= Operation.SHEAR_X) & (kind <= Operation.ROTATE)


@dataclass(frozen=True, kw_only=True)
class Policy(ABC):
    """Decides for each image of a batch what is done to it, and does it.

    interpolation and fill (one value or one a channel, in the images' units) are the warps'. Images (B, C, H, W), C of
    1 or 3, uint8 or float in [0, 1], not yet normalised; the same shape and type come back. On uint8 an image becomes
    what torchvision.transforms makes of it with the same decisions, to the bit.

    Decisions are drawn on the host, from a generator anywhere, and never make it wait for the images' device.
    """

    interpolation: Interpolation = "nearest"
    fill: float | tuple[float, ...] = 0.0

    @property
    @abstractmethod
    def space(self) -> Space:
        """The table of its magnitudes."""

    @abstractmethod
    def draw(self, batch: int, generator: torch.Generator) -> Decisions:
        """Decisions for `batch` images."""

    def apply(self, images: Tensor, decisions: Decisions) -> Tensor:
        """The images after what was decided."""
        return carry_out(decisions, images, self.space, self.interpolation, self.fill)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return self.apply(images, self.draw(len(images), generator))


def signs(steps: int, batch: int, host: torch.Generator) -> Tensor:
    """(steps, batch) of +1 and -1, evenly."""
    return 1 - 2 * torch.randint(2, (steps, batch), generator=host)
