"""What the augmentations take: (B, C, H, W), C of 1 or 3, uint8 in 0..255 or floating point in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor


def check_images(images: Tensor) -> Tensor:
    """The images, or an error that says what is wrong with them.

    Values are looked at on the CPU alone: on another device, looking would make the host wait.
    """
    if images.dtype not in (torch.uint8, torch.float32, torch.float64):
        raise TypeError(f"images: expected uint8, float32 or float64, got {images.dtype}; convert them, e.g. .float()")
    if images.ndim != 4 or images.shape[1] not in (1, 3) or min(images.shape[2:]) < 3:
        raise ValueError(
            f"images: expected shape (B, 1 or 3, H, W) with sides of at least 3 pixels, got {tuple(images.shape)}"
        )
    if images.is_floating_point() and images.device.type == "cpu" and images.numel():
        low, high = images.detach().aminmax()
        if not (low >= -1e-3 and high <= 1 + 1e-3):  # interpolation may overshoot by a rounding error
            raise ValueError(
                f"images: expected values in [0, 1], got {low:.3g} to {high:.3g}; augment before the mean is subtracted"
            )
    return images


def white(images: Tensor) -> int:
    """The largest value: 255 of uint8, 1 of floating point."""
    return 255 if images.dtype == torch.uint8 else 1


def floating(images: Tensor) -> Tensor:
    """The same values in floating point: 0..255 of uint8."""
    return images.float() if images.dtype == torch.uint8 else images


def unit(images: Tensor) -> Tensor:
    """The images in [0, 1]."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images


def per_image(values: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1), to be combined with images."""
    return values[:, None, None, None]
