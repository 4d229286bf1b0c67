"""Learning from another network's opinion instead of a label."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def soften(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """softmax(logits / temperature) over classes (B, C, ...): above 1 it evens the opinion out, below 1 it sharpens."""
    if temperature <= 0:
        raise ValueError(f"temperature: expected more than 0, got {temperature}")
    return (logits / temperature).softmax(dim=1)


def soft_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """-sum_c targets_c log softmax(logits)_c of each sample, in nats: (B, C, ...) twice -> (B, ...).

    targets: probabilities over classes, taken as constants. The least possible value is their entropy. Not averaged,
    since methods divide by different counts.
    """
    if logits.shape != targets.shape:
        raise ValueError(f"targets: shape {tuple(targets.shape)} differs from the logits' {tuple(logits.shape)}")
    return F.cross_entropy(logits, targets.detach(), reduction="none")
