"""Images as sequences of patches, and choosing which of them to hide."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


def patchify(images: Tensor, patch: int) -> Tensor:
    """(B, C, H, W) -> (B, L, patch * patch * C): patches row by row, values in the order row, column, channel."""
    batch, channels, height, width = images.shape
    if patch < 1 or height % patch or width % patch:
        raise ValueError(f"patch: {patch} does not divide the image, {height} x {width} pixels")
    tiles = images.reshape(batch, channels, height // patch, patch, width // patch, patch)
    return tiles.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, patch * patch * channels)


def unpatchify(patches: Tensor, patch: int, height: int, width: int) -> Tensor:
    """The inverse of `patchify`: (B, L, patch * patch * C) -> (B, C, height, width)."""
    batch, count, values = patches.shape
    if patch < 1 or height % patch or width % patch or values % patch**2:
        raise ValueError(f"patch: {patch} does not fit {height} x {width} pixels and patches of {values} values")
    rows, columns = height // patch, width // patch
    if count != rows * columns:
        raise ValueError(f"patches: {height} x {width} pixels need {rows * columns} patches, got {count}")
    tiles = patches.reshape(batch, rows, columns, patch, patch, values // patch**2)
    return tiles.permute(0, 5, 1, 3, 2, 4).reshape(batch, -1, height, width)


class Masking(NamedTuple):
    """ids_keep (B, K): patches that stay visible. ids_restore (B, L): puts "visible, then hidden" back in order.
    mask (B, L): 1 where hidden, 0 where visible."""

    ids_keep: Tensor
    ids_restore: Tensor
    mask: Tensor


def masking(noise: Tensor, ratio: float) -> Masking:
    """Hide the patches with the largest noise (B, L), so that exactly floor(L (1 - ratio)) stay visible in each row."""
    count = noise.shape[1]
    # The ratio is a decimal fraction: 100 * (1 - .9) is 9.999999999999998, and must keep 10.
    visible = int(count * (1 - ratio) + 1e-6)
    if not 0 <= ratio < 1 or visible == 0:
        raise ValueError(f"ratio: expected 0 <= ratio < 1 with one of {count} patches left visible, got {ratio}")
    ids_shuffle = noise.argsort(dim=1, stable=True)
    ids_restore = ids_shuffle.argsort(dim=1)
    return Masking(ids_shuffle[:, :visible], ids_restore, (ids_restore >= visible).float())


def take(tokens: Tensor, ids: Tensor) -> Tensor:
    """Rows of each sequence: tokens (B, L, D), ids (B, K) -> (B, K, D)."""
    return tokens.gather(1, ids[:, :, None].expand(-1, -1, tokens.shape[2]))


def uniform_noise(batch: int, rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """(batch, rows * columns) in [0, 1): hides patches anywhere. On the generator's device, as the two below."""
    return torch.rand(batch, rows * columns, generator=generator, device=generator.device)


def block_noise(batch: int, rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """(batch, rows * columns): hides one connected block; its centre and shape (1:2 to 2:1) are drawn per image."""
    device = generator.device
    draw = torch.rand(batch, 3, 1, 1, generator=generator, device=device)
    stretch = 2 ** (draw[:, 2] - 0.5)
    y = (torch.arange(rows, device=device)[None, :, None] + 0.5 - draw[:, 0] * rows).abs() * stretch
    x = (torch.arange(columns, device=device)[None, None, :] + 0.5 - draw[:, 1] * columns).abs() / stretch
    return -torch.maximum(y, x).flatten(1)


def grid_noise(batch: int, rows: int, columns: int, generator: torch.Generator) -> Tensor:
    """(batch, rows * columns): keeps a regular lattice, the same in all images: every second row and column at 3/4.

    The order is Bayer's: (x xor y) and y, their bits interleaved and read backwards, so that any number of first
    patches is spread as evenly as it can be. Nothing is drawn; the generator tells the device.
    """
    bits = max(rows, columns).bit_length()
    y = torch.arange(rows, device=generator.device)[:, None]
    x = torch.arange(columns, device=generator.device)[None, :]
    order = torch.zeros(rows, columns, device=generator.device)
    for bit in range(bits):
        order += (2 * ((x ^ y) >> bit & 1) + (y >> bit & 1)) * 4.0 ** (bits - 1 - bit)
    return order.flatten().expand(batch, -1)
