"""Which of a teacher's opinions a student should learn from."""

from __future__ import annotations

import torch
from torch import Tensor


def select(probabilities: Tensor, threshold: float, balance: bool) -> Tensor:
    """Positions (M,) of the pictures to learn from, among N with the teacher's probabilities (N, classes).

    Those whose largest probability is above `threshold` in [0, 1). With balance, equally many of each class that the
    teacher named, the surest first; a class with too few is gone through again from its surest (Xie et al. 2020,
    section 2). ValueError when none is above the threshold.
    """
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold: expected 0 up to, not including, 1, got {threshold}")
    confidence, label = probabilities.max(dim=1)
    kept = (confidence > threshold).nonzero().flatten()
    if not len(kept):
        raise ValueError(
            f"threshold: no pseudo-label above {threshold}, the surest has {confidence.max():.3f}; lower the threshold"
        )
    if not balance:
        return kept
    kept = kept[confidence[kept].argsort(descending=True, stable=True)]
    classes = [kept[label[kept] == each] for each in label[kept].unique()]
    share = torch.arange(-(-len(kept) // len(classes)), device=kept.device)
    return torch.cat([members[share % len(members)] for members in classes])
