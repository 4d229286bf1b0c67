"""Nuclei: one real fluorescence micrograph with every cell nucleus outlined (Data Science Bowl 2018, BBBC038).

The 512 x 512 image is cut into sixteen squares of 128; every fourth is for testing.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.data.base import Batch, Facts, Memory
from engine.data.decode import fit
from engine.data.embedded import tiles
from engine.data.letterbox import letterbox_labels

SIDE = 128
SMALLEST = 16
"""Nuclei that a cut leaves with fewer pixels are ignored: neither rewarded nor punished."""


def load(variant: str, split: str, size: int | None, channels: int | None) -> Memory:
    """The twelve "train" or four "test" squares, held in memory, with boxes, instances and semantic labels."""
    facts = Facts(channels or 1, size or SIDE, ("nucleus",))
    kept = [place for place in range(16) if (place % 4 == 3) == (split == "test")]
    images = fit(tiles("segmentation/nuclei.png", SIDE)[kept], facts)
    maps = [
        renumbered(letterbox_labels(ids.long(), facts.size))
        for ids in tiles("segmentation/nuclei_mask.png", SIDE)[kept, 0]
    ]
    boxes = [bounds(ids) for ids in maps]
    rows = Batch(
        images=images,
        index=torch.arange(len(kept)),
        boxes=boxes,
        box_labels=[torch.zeros(len(box), dtype=torch.long) for box in boxes],
        box_ignore=[ids.flatten().bincount()[1:] < SMALLEST for ids in maps],
        semantic=torch.stack(maps).clamp(max=1),
        instances=torch.stack(maps),
    )
    return Memory(rows, facts)


def renumbered(ids: Tensor) -> Tensor:
    """Instance ids (H, W) as 1..n without gaps, in the same order; 0 stays background."""
    present = torch.cat((ids.new_zeros(1), ids[ids > 0].unique()))
    return torch.searchsorted(present, ids)


def bounds(ids: Tensor) -> Tensor:
    """The tight boxes (n, 4) float of the instances 1..n of a map (H, W)."""
    found = []
    for instance in range(1, int(ids.max()) + 1):
        rows, columns = np.nonzero((ids == instance).numpy())
        found.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return torch.tensor(np.array(found, dtype=np.float32).reshape(-1, 4))
