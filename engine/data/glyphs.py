"""Glyphs: 423 characters in twelve DejaVu faces, white on black, 28 x 28: the few-shot set (an offline Omniglot).

Three of four classes are for training, the fourth is for testing: the splits share no class. How the pictures were
made, and which look-alikes became one class, is told in `build_glyphs`.
"""

from __future__ import annotations

import json

import torch

from engine.assets import asset
from engine.data.base import Memory
from engine.data.embedded import tiles, whole

SIDE, FACES = 28, 12


def load(variant: str, split: str, size: int | None, channels: int | None) -> Memory:
    """The "train" or "test" classes, held in memory: twelve pictures a class, class after class."""
    names = [alike[0] for alike in json.loads(asset("glyphs/dejavu.json").read_text("utf-8"))]
    kept = torch.tensor([place for place in range(len(names)) if (place % 4 == 3) == (split == "test")])
    images = tiles("glyphs/dejavu.png", SIDE).unflatten(0, (-1, FACES))[kept].flatten(0, 1)
    labels = torch.arange(len(kept)).repeat_interleave(FACES)
    return whole(images, labels, tuple(names[place] for place in kept.tolist()), size, channels)
