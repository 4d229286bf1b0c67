"""Mirroring pictures together with their boxes."""

from __future__ import annotations

from dataclasses import replace

import torch

from engine.data.base import Batch
from engine.ops.boxes import flip


def mirrored(batch: Batch, generator: torch.Generator) -> Batch:
    """Half of the images, drawn by lot, mirrored left to right with their boxes."""
    turn = torch.rand(len(batch), generator=generator, device=batch.images.device) < 0.5
    images = torch.where(turn[:, None, None, None], batch.images.flip(3), batch.images)
    width = batch.images.shape[3]
    boxes = [torch.where(t, flip(b, width), b) for t, b in zip(turn, batch.boxes or [], strict=True)]
    return replace(batch, images=images, boxes=boxes)
