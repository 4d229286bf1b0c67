"""Reading the sets that ship: sheets of equal tiles, and sets held whole in memory."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engine.assets import asset
from engine.data.base import Batch, Facts, Memory
from engine.data.decode import fit


def tiles(name: str, side: int) -> Tensor:
    """The tiles of a shipped sheet, row by row: uint8 (N, C, side, side), blank ones at the end included."""
    with Image.open(asset(name)) as sheet:
        pixels = np.asarray(sheet if sheet.mode != "P" else sheet.convert("L"))
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    rows, columns = pixels.shape[0] // side, pixels.shape[1] // side
    cut = pixels.reshape(rows, side, columns, side, -1).transpose(0, 2, 4, 1, 3)
    return torch.from_numpy(np.ascontiguousarray(cut)).flatten(0, 1)


def whole(
    images: Tensor, labels: Tensor | None, classes: tuple[str, ...], size: int | None, channels: int | None
) -> Memory:
    """A set in memory from uint8 (N, C, H, W), fitted to `size` and `channels` where they are given."""
    facts = Facts(channels or images.shape[1], size or images.shape[-1], classes)
    return Memory(Batch(fit(images, facts), torch.arange(len(images)), labels), facts)
