"""The operations of augmentation policies, each over a whole batch with its own argument for each image.

Images are (B, C, H, W) as in `engine.augment.images`; every function returns the same shape and type. On uint8 each is
equal to the bit to its namesake in torchvision.transforms.functional, whose rounding follows Pillow. Geometry is one
warp: `engine.ops.warp` makes the matrices. The change of an enhancement (B,) is its factor less 1: 0 changes nothing.
"""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor

from engine.augment.images import floating, per_image, white


class Operation(IntEnum):
    """RandAugment's fourteen (arXiv:1909.13719, section 3), in torchvision's order, and AutoAugment's fifteenth."""

    IDENTITY = 0
    SHEAR_X = 1
    SHEAR_Y = 2
    TRANSLATE_X = 3
    TRANSLATE_Y = 4
    ROTATE = 5
    BRIGHTNESS = 6
    COLOR = 7
    CONTRAST = 8
    SHARPNESS = 9
    POSTERIZE = 10
    SOLARIZE = 11
    AUTOCONTRAST = 12
    EQUALIZE = 13
    INVERT = 14


NAMES: tuple[str, ...] = tuple(operation.name.lower() for operation in Operation)
OPERATIONS = NAMES[: Operation.INVERT]
"""RandAugment's and TrivialAugment's fourteen."""


def grey(images: Tensor) -> Tensor:
    """(B, 1, H, W): luma, 0.2989 R + 0.587 G + 0.114 B, rounded down on uint8."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.split(1, dim=1)
    return (0.2989 * red).add_(0.587 * green).add_(0.114 * blue).to(images.dtype)


def smooth(images: Tensor) -> Tensor:
    """The 3 x 3 mean in which the centre counts five times (weights of a 13th); border pixels stay as they are."""
    # Sums of shifted images: on a CPU ten times as fast as a depth-wise convolution, and exact on integers.
    values = images.short() if images.dtype == torch.uint8 else images
    rows = (values[..., :-2, :] + values[..., 1:-1, :]).add_(values[..., 2:, :])
    box = (rows[..., :-2] + rows[..., 1:-1]).add_(rows[..., 2:])
    inner = box.add_(values[..., 1:-1, 1:-1], alpha=4) / 13
    smoothed = images.clone()
    smoothed[..., 1:-1, 1:-1] = inner.round_() if images.dtype == torch.uint8 else inner
    return smoothed


def brightness(images: Tensor, change: Tensor) -> Tensor:
    """Away from black: -1 gives black."""
    return _blend(images, torch.zeros_like(images[:, :1, :1, :1]), change)


def color(images: Tensor, change: Tensor) -> Tensor:
    """Away from the grey image: -1 gives it. Images of one channel stay as they are."""
    return images if images.shape[1] == 1 else _blend(images, grey(images), change)


def contrast(images: Tensor, change: Tensor) -> Tensor:
    """Away from the mean of the grey image: -1 gives that one shade.

    Sums of uint8 are exact up to 65 793 pixels; above, the mean may differ from torchvision's in its last bit.
    """
    return _blend(images, floating(grey(images)).mean(dim=(1, 2, 3), keepdim=True), change)


def sharpness(images: Tensor, change: Tensor) -> Tensor:
    """Away from the smooth image: -1 gives it."""
    return _blend(images, smooth(images), change)


def _blend(images: Tensor, degenerate: Tensor, change: Tensor) -> Tensor:
    """Pillow's enhancement by the factor f = 1 + change (B,): f x + (1 - f) x0, cut off at black and white.

    Written in the change, which is exact where 1 + change is rounded.
    """
    change = per_image(change)
    blend = (floating(images) * (1 + change)).sub_(floating(degenerate) * change)
    return blend.clamp_(0, white(images)).to(images.dtype)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the `bits` (B,) highest of eight bits: 8 leaves the image, 0 is black. Floats are read as levels of 255."""
    drop = 8 - bits.clamp(0, 8).int()
    mask = 256 - torch.bitwise_left_shift(torch.ones_like(drop), drop)
    kept = _levels(images) & per_image(mask.to(torch.uint8))
    if images.dtype == torch.uint8:
        return kept
    return torch.where(per_image(drop == 0), images, kept.to(images.dtype) / 255)


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert what is at least as bright as the threshold (B,) in 0..255, above 255 nothing; floats are 1 at 255."""
    threshold = per_image(threshold if images.dtype == torch.uint8 else threshold / 255)
    return torch.where(images >= threshold, white(images) - images, images)


def autocontrast(images: Tensor) -> Tensor:
    """Stretch each channel so that its darkest pixel is black and its brightest white; flat channels stay."""
    low = floating(images.amin(dim=(2, 3), keepdim=True))
    high = floating(images.amax(dim=(2, 3), keepdim=True))
    scale = white(images) / (high - low)
    flat = ~scale.isfinite()
    low, scale = low.masked_fill(flat, 0.0), scale.masked_fill(flat, 1.0)
    return (floating(images) - low).mul_(scale).clamp_(0, white(images)).to(images.dtype)


def equalize(images: Tensor) -> Tensor:
    """Spread each channel's histogram evenly, as Pillow does it: level v goes to (pixels darker than v) / step.

    step is a 255th of the pixels that are not of the brightest level there is; where it is 0 the channel stays. Floats
    are read as levels of 255.
    """
    batch, channels, height, width = images.shape
    levels = _levels(images).view(batch * channels, height * width).long()
    histogram = torch.zeros(batch * channels, 256, dtype=torch.int32, device=images.device)
    histogram.scatter_add_(1, levels, histogram.new_ones(1, 1).expand_as(levels))
    brightest = histogram.gather(1, levels.amax(dim=1, keepdim=True))
    step = (height * width - brightest) // 255
    darker = histogram.cumsum(dim=1) - histogram
    table = ((darker + step // 2) // step.clamp(min=1)).clamp(0, 255)
    table = torch.where(step == 0, torch.arange(256, device=images.device), table)
    answer = table.to(torch.uint8).gather(1, levels).view_as(images)
    return answer if images.dtype == torch.uint8 else answer.to(images.dtype) / 255


def invert(images: Tensor) -> Tensor:
    """The negative."""
    return white(images) - images


def _levels(images: Tensor) -> Tensor:
    """The images as uint8."""
    return images if images.dtype == torch.uint8 else (images * 255).round().to(torch.uint8)
