"""The parts of a view that RandAugment lacks: turning hues and blurring, each image by its own amount."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.augment.images import per_image
from engine.ops.precision import full_precision


def hue(images: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue by a part of the circle: images (B, C, H, W) float in [0, 1], turn (B,) in [-1/2, 1/2].

    Value v = max and chroma c = max - min stay; with the hue h in sixths of the circle, a channel is
    v - c max(0, min(k, 4 - k, 1)), k = (h + 5, 3, 1 for R, G, B) mod 6. Images of one channel have no hue.
    """
    if images.shape[1] == 1:
        return images
    red, green, blue = images.split(1, dim=1)
    value = images.amax(dim=1, keepdim=True)
    chroma = value - images.amin(dim=1, keepdim=True)
    unit = torch.where(chroma > 0, chroma, 1)
    from_green, from_blue = 2 + (blue - red) / unit, 4 + (red - green) / unit
    sixths = torch.where(value == red, (green - blue) / unit, torch.where(value == green, from_green, from_blue))
    channel = torch.arange(5, 0, -2, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
    k = (sixths + 6 * per_image(turn).to(images.dtype) + channel).remainder_(6)
    return value - torch.minimum(k, 4 - k).clamp_(0, 1).mul_(chroma)


def gaussian_blur(images: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Blur with a Gaussian of `sigma` (B,) pixels, cut off after `radius` pixels; mirrored beyond the border.

    images (B, C, H, W) float in [0, 1], with sides above `radius`. Rows and columns are products with one matrix an
    image: on a CPU several times as fast as a grouped convolution, and no slower for large kernels.
    """
    height, width = images.shape[-2:]
    if not 0 < radius < min(height, width):
        raise ValueError(f"radius: expected 1 to {min(height, width) - 1} for {height} x {width} pixels, got {radius}")
    down, across = _blur_matrix(sigma, height, radius), _blur_matrix(sigma, width, radius)
    with full_precision(images):
        blurred = down[:, None].to(images.dtype) @ images @ across[:, None].to(images.dtype).mT
    return blurred.clamp_(0, 1)


def _blur_matrix(sigma: Tensor, side: int, radius: int) -> Tensor:
    """(B, side, side): row i holds the weights of the pixels that blurred pixel i is made of."""
    tap = torch.arange(-radius, radius + 1, device=sigma.device)
    weight = (-0.5 * (tap / sigma[:, None]) ** 2).softmax(dim=1)
    pixel = (torch.arange(side, device=sigma.device)[:, None] + tap).abs()
    mirrored = (side - 1) - (side - 1 - pixel).abs()
    shape = (len(sigma), side, len(tap))
    matrix = torch.zeros(len(sigma), side, side, dtype=weight.dtype, device=sigma.device)
    return matrix.scatter_add_(2, mirrored.expand(shape), weight[:, None].expand(shape))
