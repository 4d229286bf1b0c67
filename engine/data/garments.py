"""Garments: a class-balanced part of Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017, arXiv:1708.07747).

10 000 training and 2 000 test pictures of 28 x 28 grey pixels, white on black, in ten classes.
"""

from __future__ import annotations

import numpy as np
import torch

from engine.assets import asset
from engine.data.base import Memory
from engine.data.embedded import tiles, whole

CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
SIDE = 28


def load(variant: str, split: str, size: int | None, channels: int | None) -> Memory:
    """The "train" or "test" split, held in memory."""
    labels = torch.from_numpy(np.load(asset(f"classification/fashion_{split}_labels.npy")).astype(np.int64))
    images = tiles(f"classification/fashion_{split}.png", SIDE)[: len(labels)]
    return whole(images, labels, CLASSES, size, channels)
