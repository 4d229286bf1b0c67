"""Pictures that a model knows, and pictures of another kind, fitted to what it takes."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.data.base import Dataset, Facts
from engine.data.decode import fit
from engine.data.subset import spread


def strangers(dataset: Dataset, facts: Facts, count: int) -> Tensor:
    """(count, C, size, size) float in [0, 1], on the CPU: pictures evenly spread over the set, fitted to `facts`."""
    chosen = spread(dataset, count)
    return fit(chosen.batch(torch.arange(len(chosen))).images.cpu(), facts).float() / 255
