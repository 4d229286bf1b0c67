"""Which parameters weight decay pulls on, and how fast each layer learns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn


def decay_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Groups for an optimiser: weights are pulled towards 0, one-dimensional parameters (biases, norms) are not."""
    learned = [each for each in module.parameters() if each.requires_grad]
    return [
        {"params": [each for each in learned if each.ndim > 1], "weight_decay": weight_decay},
        {"params": [each for each in learned if each.ndim <= 1], "weight_decay": 0.0},
    ]


def layerwise_groups(
    layers: Sequence[Sequence[nn.Parameter]], lr: float, decay: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Groups for an optimiser in which layer l of n, counted from 0 at the pictures, learns at lr * decay^(n - 1 - l).

    The last layer, the head, learns at `lr` (Clark et al. 2020; He et al. 2022, appendix A.1). Weight decay as in
    `decay_groups`. ValueError when decay is not above 0 and at most 1.
    """
    if not 0 < decay <= 1:
        raise ValueError(f"decay: expected above 0 and at most 1, got {decay}")
    groups = []
    for place, layer in enumerate(layers):
        rate = lr * decay ** (len(layers) - 1 - place)
        for pulled in (True, False):
            chosen = [each for each in layer if (each.ndim > 1) == pulled]
            groups.append({"params": chosen, "lr": rate, "weight_decay": weight_decay if pulled else 0.0})
    return [group for group in groups if group["params"]]
