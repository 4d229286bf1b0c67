"""Batch statistics of parts of a batch, as when each part is on a GPU of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.ops.choose import to


def in_groups(net: nn.Module, images: Tensor, groups: int, order: Tensor | None = None) -> Tensor:
    """What `net` makes of images (B, ...) in `groups` parts of equal size, each with batch statistics of its own.

    order: a permutation (B,) of the images for the time of the computation, on the CPU; answers come back in the
    images' order. Two networks that see the same pictures in different orders share no statistics (He et al. 2020,
    sec. 3.3, "shuffling BN").
    """
    if groups == 1:
        return net(images)
    if groups < 1 or len(images) % groups:
        raise ValueError(f"groups: {groups} does not divide the batch of {len(images)} into equal parts")
    if order is None:
        return torch.cat([net(part) for part in images.chunk(groups)])
    shuffled = torch.cat([net(part) for part in images[to(order, images)].chunk(groups)])
    return shuffled[to(order.argsort(), images)]
