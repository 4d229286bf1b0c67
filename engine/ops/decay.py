"""Which parameters weight decay pulls on."""

from __future__ import annotations

from typing import Any

from torch import nn


def decay_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Groups for an optimiser: weights are pulled towards 0, one-dimensional parameters (biases, norms) are not."""
    learned = [each for each in module.parameters() if each.requires_grad]
    return [
        {"params": [each for each in learned if each.ndim > 1], "weight_decay": weight_decay},
        {"params": [each for each in learned if each.ndim <= 1], "weight_decay": 0.0},
    ]
