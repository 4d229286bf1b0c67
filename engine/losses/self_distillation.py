"""Self-distillation: what a student says of one crop is pulled to what its teacher says of another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.losses.soft import soften
from engine.losses.swapped import swapped_prediction


def opinion(scores: Tensor, centre: Tensor, temperature: float) -> Tensor:
    """softmax((g - c) / temperature): scores g (B, K) less a centre c (K,), as probabilities over K classes that nobody
    named (Caron et al. 2021, eq. 1 and sec. 3.1). Centring evens classes out, a low temperature sharpens."""
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise ValueError(f"scores: expected (B, K) of 2 classes or more, got shape {tuple(scores.shape)}")
    return soften(scores.float() - centre, temperature)


def self_distillation(
    student: Sequence[Tensor], teacher: Sequence[Tensor], centre: Tensor, student_temperature: float,
    teacher_temperature: float,
) -> Tensor:  # fmt: skip
    """The mean cross-entropy, in nats, of the teacher's opinion of each large crop with the student's of each other
    crop (Caron et al. 2021, eq. 3). Of K classes, log K where both are even.

    student: scores (B, K) of all V crops, the large ones first; teacher: scores of the large ones, taken as constants.
    """
    if len(teacher) < 2:
        raise ValueError(f"teacher: expected scores of 2 large crops or more, got {len(teacher)}")
    opinions = [opinion(scores, centre, teacher_temperature) for scores in teacher]
    return swapped_prediction(student, opinions, student_temperature)


@torch.no_grad()
def moved_centre(centre: Tensor, teacher: Sequence[Tensor], momentum: float) -> Tensor:
    """m c + (1 - m) mean of the teacher's scores (Caron et al. 2021, eq. 4). Scores (B, K) as they are, not centred;
    so that opinions of one step share a centre, it moves after the loss."""
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum: expected 0 to 1, got {momentum}")
    return centre * momentum + torch.cat([scores.float() for scores in teacher]).mean(dim=0) * (1 - momentum)


def unit_regression(predictions: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """The mean squared distance, as unit vectors, of the target of each large crop from the prediction of each other
    crop: 2 - 2 cos (Grill et al. 2020, eq. 2), so 0 at best, 2 where they have nothing in common.

    predictions: (B, D) of all crops, the large ones first; targets: (B, D) of the large ones.
    """
    if not targets or len(predictions) < max(2, len(targets)):
        raise ValueError(
            f"expected targets of 1 crop or more, predictions of 2 or more, got {len(targets)} and {len(predictions)}"
        )
    losses = [
        2 - 2 * F.cosine_similarity(told.float(), wanted.float(), dim=1).mean()
        for place, wanted in enumerate(targets)
        for other, told in enumerate(predictions)
        if other != place
    ]
    return torch.stack(losses).mean()


def spreads(opinions: Tensor) -> tuple[Tensor, Tensor]:
    """Two entropies, in nats, of probabilities (B, K): of one row, on average, and of the mean row.

    The first at log K: nobody has an opinion. The second at 0: all have the same single one. Both are collapse.
    """
    return torch.special.entr(opinions).sum(dim=1).mean(), torch.special.entr(opinions.mean(dim=0)).sum()
