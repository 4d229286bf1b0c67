"""Test pictures with a fault, the same every time."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch

from engine.augment.corruptions import CORRUPTIONS
from engine.data.base import Batch, Dataset
from engine.data.subset import spread

FAULTS = tuple(CORRUPTIONS)
Fault = Literal[
    "none", "turned left", "turned right", "too near", "too far", "faint", "dark", "blurred", "noisy", "bright",
    "speckled", "turned and dark",
]  # fmt: skip


def faulty(test: Dataset, fault: str, count: int, device: torch.device) -> Batch:
    """Pictures of a set, evenly spread, with one fault."""
    some = spread(test, count)
    batch = some.batch(torch.arange(len(some))).to(device)
    return replace(batch, images=CORRUPTIONS[fault](batch.images, torch.Generator().manual_seed(0)))
