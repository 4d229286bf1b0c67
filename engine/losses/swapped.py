"""Swapped prediction: what one crop is assigned to must be foretold from each of the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.losses.soft import soft_cross_entropy


def swapped_prediction(scores: Sequence[Tensor], codes: Sequence[Tensor], temperature: float) -> Tensor:
    """The mean, over each crop that has codes and each other crop, of the cross-entropy of those codes with the
    softmax of that crop's scores over `temperature`, in nats (Caron et al. 2020, eq. 1-2).

    scores: (B, K) of each of V crops; codes: (B, K), constants whose rows sum to 1, of the first of them.
    """
    if not codes or len(scores) < max(2, len(codes)):
        raise ValueError(
            f"expected codes of 1 crop or more and scores of 2 or more, got {len(codes)} and {len(scores)}"
        )
    if temperature <= 0:
        raise ValueError(f"temperature: expected more than 0, got {temperature}")
    losses = [
        soft_cross_entropy(told.float() / temperature, wanted).mean()
        for place, wanted in enumerate(codes)
        for other, told in enumerate(scores)
        if other != place
    ]
    return torch.stack(losses).mean()
