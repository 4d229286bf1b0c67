"""Slightly other views of a picture, under which its class should stay: a little nearer, moved, mirrored."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.ops.warp import resized_crop

LEAST = 0.8
"""Share of the side that the nearest view shows."""


def slight(images: Tensor, count: int, seed: int = 0) -> Tensor:
    """(B, C, H, W) -> (B, count, C, H, W): as it is, mirrored, then at random; the first stay when `count` grows.

    Each shows a square of `LEAST` of the side or more, anywhere, resized to the whole, every other one mirrored; it is
    the same for all images.
    """
    height, width = images.shape[-2:]
    generator = torch.Generator().manual_seed(seed)
    shares = torch.rand(count, 3, generator=generator)  # a row a view, so that more of them change none before
    side = LEAST + (1 - LEAST) * shares[:, 0]
    side[:2] = 1
    left, top = (1 - side) * shares[:, 1], (1 - side) * shares[:, 2]
    boxes = torch.stack([left * width, top * height, (left + side) * width, (top + side) * height], dim=1)
    seen = []
    for place, box in enumerate(boxes.to(images.device)):
        mirrored = torch.full((len(images),), place % 2 == 1, device=images.device)
        whole = images if place == 0 else images.flip(-1)
        drawn = resized_crop(images, box.expand(len(images), -1), (height, width), mirrored)
        seen.append(whole if place < 2 else drawn.clamp(0, 1))
    return torch.stack(seen, dim=1)
