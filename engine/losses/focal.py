"""Losses of dense detectors, where a few objects stand against thousands of easy anchors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import nms


def sigmoid_focal(logits: Tensor, targets: Tensor, gamma: float = 2.0, alpha: float = 0.25) -> Tensor:
    """FL(p_t) = -alpha_t (1 - p_t)^gamma log p_t, element by element (Lin et al. 2017, eq. 5); nats, same shape.

    logits: any shape. targets: bool, same shape. p_t is the probability given to the truth, alpha_t is `alpha` where
    the target is true and 1 - alpha elsewhere; alpha = -1 leaves it out. gamma = 0 is the balanced cross-entropy.
    The paper sums over all anchors and divides by the number of anchors assigned to an object.
    """
    _check(logits, targets, alpha)
    if gamma < 0:
        raise ValueError(f"gamma: expected 0 or more, got {gamma}")
    toward_truth = torch.where(targets, logits, -logits)
    # 1 - p_t = sigmoid(-z): through logarithms, so that neither factor is rounded to 0 or 1 before it is used.
    loss = -F.logsigmoid(toward_truth) * torch.exp(gamma * F.logsigmoid(-toward_truth))
    return _balance(loss, targets, alpha)


def sigmoid_bce(logits: Tensor, targets: Tensor, alpha: float = -1.0) -> Tensor:
    """Cross-entropy of independent sigmoids, balanced by `alpha` as in `sigmoid_focal`, element by element; nats."""
    _check(logits, targets, alpha)
    return _balance(-F.logsigmoid(torch.where(targets, logits, -logits)), targets, alpha)


def ohem(
    losses: Tensor,
    boxes: Tensor,
    keep: int,
    positive: Tensor | None = None,
    negatives_per_positive: int = 3,
    nms_threshold: float = 0.7,
) -> Tensor:
    """Online hard example mining in one image (Shrivastava et al. 2016): indices of the `keep` anchors to learn from.

    losses: (A,) of each anchor. boxes: (A, 4); of anchors that overlap by more than `nms_threshold` only the one with
    the largest loss stays. positive: (A,) bool; with it, the hardest negatives kept are at most
    `negatives_per_positive` times the positives kept (the 1:3 variant), and at least as many as for one positive.
    """
    if losses.shape != boxes.shape[:1]:
        raise ValueError(f"losses and boxes must pair: got {tuple(losses.shape)} and {tuple(boxes.shape)}")
    if keep < 1:
        raise ValueError(f"keep: expected one anchor or more, got {keep}")
    hardest = nms(boxes, losses.detach(), nms_threshold)
    if positive is None:
        return hardest[:keep]
    positives = hardest[positive[hardest]][: max(1, keep // (1 + negatives_per_positive))]
    negatives = negatives_per_positive * max(1, len(positives))
    return torch.cat((positives, hardest[~positive[hardest]][: min(negatives, keep - len(positives))]))


def _balance(loss: Tensor, targets: Tensor, alpha: float) -> Tensor:
    return loss if alpha == -1 else torch.where(targets, alpha * loss, (1 - alpha) * loss)


def _check(logits: Tensor, targets: Tensor, alpha: float) -> None:
    if logits.shape != targets.shape:
        raise ValueError(f"targets: shape {tuple(targets.shape)} differs from the logits' {tuple(logits.shape)}")
    if targets.dtype != torch.bool:
        raise TypeError(f"targets: expected bool, got {targets.dtype}; use targets.bool() on 0 and 1")
    if alpha != -1 and not 0 <= alpha <= 1:
        raise ValueError(f"alpha: expected 0 to 1, or -1 for no balance, got {alpha}")
