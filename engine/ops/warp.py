"""Batched affine warps, one matrix an image, and crops resized to a common size.

A matrix (2 x 3) maps output to input: (x_in, y_in) = M (x_out, y_out, 1), in pixels about the image's centre, x to the
right, y down. The functions that make matrices take tensors of any shape S and return (*S, 2, 3) in the same precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.ops.precision import full_precision

Interpolation = Literal["nearest", "bilinear"]


def rotation(degrees: Tensor) -> Tensor:
    """Turns the picture counter-clockwise about its centre."""
    angle = torch.deg2rad(degrees)
    zero = torch.zeros_like(angle)
    return _matrix(angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero)


def shear_x(slope: Tensor, height: int) -> Tensor:
    """Moves row y (from the top edge, which stays) to the left by slope * y pixels."""
    zero, one = torch.zeros_like(slope), torch.ones_like(slope)
    return _matrix(one, slope, slope * height / 2, zero, one, zero)


def shear_y(slope: Tensor, width: int) -> Tensor:
    """Moves column x (from the left edge, which stays) up by slope * x pixels."""
    zero, one = torch.zeros_like(slope), torch.ones_like(slope)
    return _matrix(one, zero, zero, slope, one, slope * width / 2)


def translation(right: Tensor, down: Tensor) -> Tensor:
    """Moves the picture by so many pixels."""
    zero, one = torch.zeros_like(right), torch.ones_like(right)
    return _matrix(one, zero, -right, zero, one, -down)


def zoom(factor: Tensor) -> Tensor:
    """Magnifies the picture about its centre; a factor below 1 makes it smaller."""
    zero = torch.zeros_like(factor)
    return _matrix(1 / factor, zero, zero, zero, 1 / factor, zero)


def _matrix(*entries: Tensor) -> Tensor:
    return torch.stack(entries, dim=-1).unflatten(-1, (2, 3))


def warp(
    images: Tensor, matrix: Tensor, interpolation: Interpolation = "bilinear", fill: float | Sequence[float] = 0.0
) -> Tensor:
    """Image b drawn through matrix b; what lies outside it is `fill`, one value or one a channel, in the images' units.

    images (B, C, H, W), uint8, float32 or float64; matrix (B, 2, 3). Same shape and type back; uint8 is rounded. The
    same pixels, to the bit, as torchvision's `affine` and `rotate` of each image on the CPU.
    """
    if matrix.shape != (len(images), 2, 3):
        raise ValueError(f"matrix: expected shape ({len(images)}, 2, 3), one an image, got {tuple(matrix.shape)}")
    if interpolation not in get_args(Interpolation):
        raise ValueError(f"interpolation: {interpolation!r} is not one of {', '.join(get_args(Interpolation))}")
    channels, height, width = images.shape[1:]
    values = images.float() if images.dtype == torch.uint8 else images
    fills = [float(fill)] if isinstance(fill, (int, float)) else [float(value) for value in fill]
    if len(fills) not in (1, channels):
        raise ValueError(f"fill: expected 1 or {channels} values for {channels} channels, got {len(fills)}")
    if any(fills):
        values = torch.cat([values, torch.ones_like(values[:, :1])], dim=1)

    grid = _grid(matrix.to(values.dtype), height, width)
    drawn = F.grid_sample(values, grid, interpolation, padding_mode="zeros", align_corners=False)
    if any(fills):
        drawn, inside = drawn[:, :channels], drawn[:, channels:]
        # Filled on the device: a tensor made of a list would be copied there while the host waits.
        outside = torch.stack([drawn.new_full((), value) for value in fills])[:, None, None]
        if interpolation == "nearest":
            drawn = torch.where(inside < 0.5, outside, drawn)
        else:
            drawn = drawn * inside + (1 - inside) * outside
    return drawn.round_().to(torch.uint8) if images.dtype == torch.uint8 else drawn


def _grid(matrix: Tensor, height: int, width: int) -> Tensor:
    """Where each output pixel comes from, as `grid_sample` wants it: (B, H, W, 2) in [-1, 1] from edge to edge."""
    x = torch.arange(width, dtype=matrix.dtype, device=matrix.device) - (width - 1) / 2
    y = torch.arange(height, dtype=matrix.dtype, device=matrix.device) - (height - 1) / 2
    y, x = torch.meshgrid(y, x, indexing="ij")
    centres = torch.stack((x, y, torch.ones_like(x)), dim=-1).view(1, height * width, 3)
    to_input = torch.stack((matrix[:, 0] / (0.5 * width), matrix[:, 1] / (0.5 * height)), dim=-1)
    # A grid in bfloat16 would misplace pixels by up to a percent of the width.
    with full_precision(matrix):
        grid = centres.expand(len(matrix), -1, -1).bmm(to_input)
    return grid.view(-1, height, width, 2)


def resized_crop(images: Tensor, boxes: Tensor, size: tuple[int, int], flip: Tensor | None = None) -> Tensor:
    """The boxes of the images, resized bilinearly to `size` (height, width), mirrored where `flip`; without antialias.

    images (B, C, H, W) float; boxes (B, 4) float: x1, y1, x2, y2 in pixels, half open, at least a pixel wide and high;
    flip (B,) bool. Outside its box nothing is read: the box's border pixels continue, as when the crop were cut out
    first. An enlarged crop is what torchvision's `resized_crop` gives; a crop to be reduced by more than 2 should be
    reduced beforehand, or it shows aliasing.
    """
    if boxes.shape != (len(images), 4):
        raise ValueError(f"boxes: expected shape ({len(images)}, 4), one an image, got {tuple(boxes.shape)}")
    height, width = images.shape[-2:]
    left, top, right, bottom = boxes.to(images.dtype).unsqueeze(-1).unbind(dim=1)
    across = (torch.arange(size[1], dtype=images.dtype, device=images.device) + 0.5) / size[1]
    down = (torch.arange(size[0], dtype=images.dtype, device=images.device) + 0.5) / size[0]
    across = across.expand(len(images), -1)
    if flip is not None:
        across = torch.where(flip[:, None], 1 - across, across)
    x = (left + (right - left) * across).clamp(left + 0.5, right - 0.5) * (2 / width) - 1
    y = (top + (bottom - top) * down).clamp(top + 0.5, bottom - 0.5) * (2 / height) - 1
    grid = torch.stack((x[:, None, :].expand(-1, *size), y[:, :, None].expand(-1, *size)), dim=-1)
    return F.grid_sample(images, grid, "bilinear", padding_mode="border", align_corners=False)
