"""Whole images with their annotations at one size: proportions kept, at the top left of a grey square."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.data.base import VOID, Facts
from engine.data.decode import channels, resize

GREY = 127
"""What surrounds the image: close to 0 after the usual normalisation."""


def inner(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width of an image whose longer side becomes `size`."""
    scale = size / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def letterbox(image: Tensor, facts: Facts) -> Tensor:
    """uint8 (1 or 3, H, W) -> (facts.channels, size, size)."""
    height, width = inner(image.shape[1], image.shape[2], facts.size)
    square = image.new_full((facts.channels, facts.size, facts.size), GREY)
    square[:, :height, :width] = resize(channels(image, facts.channels), height, width)
    return square


def letterbox_boxes(boxes: Tensor, height: int, width: int, size: int) -> Tensor:
    """Boxes (G, 4) of an image of height x width, where they lie after `letterbox`."""
    new_height, new_width = inner(height, width, size)
    scale = torch.tensor([new_width / width, new_height / height])
    return boxes * scale.repeat(2)


def letterbox_labels(labels: Tensor, size: int, outside: int = VOID) -> Tensor:
    """A label map (H, W) -> (size, size): the label at each new pixel's centre, `outside` beyond the image."""
    height, width = inner(labels.shape[0], labels.shape[1], size)
    rows = ((torch.arange(height) + 0.5) * (labels.shape[0] / height)).long()
    columns = ((torch.arange(width) + 0.5) * (labels.shape[1] / width)).long()
    square = labels.new_full((size, size), outside)
    square[:height, :width] = labels[rows[:, None], columns]
    return square
