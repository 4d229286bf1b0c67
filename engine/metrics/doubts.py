"""Doubts about pictures and pixels in one shape: what passes or members say is p_t, (B, T, classes, ...)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.data.base import VOID
from engine.metrics.uncertainty import expected_entropy, mutual_information, predictive_entropy


def doubts(told: Tensor) -> dict[str, Tensor]:
    """Total = aleatoric + epistemic uncertainty of p_t (B, T, classes, ...): each (B, ...), in nats."""
    parts = {"total": predictive_entropy, "aleatoric": expected_entropy, "epistemic": mutual_information}
    return {name: part(told) for name, part in parts.items()}


def doubt_maps(told: Tensor, images: Tensor) -> dict[str, Tensor]:
    """`doubts` as maps (B, H, W) over images (B, C, H, W), beside the "pictures" in colour, as an Overlay wants them.

    A doubt about a whole picture tints it evenly.
    """
    found: dict[str, Tensor] = {"pictures": images.expand(-1, 3, -1, -1)}
    for name, part in doubts(told).items():
        per_pixel = part if part.ndim == 3 else part[:, None, None]
        found[name] = per_pixel.expand(len(images), *images.shape[-2:])
    return found


def by_picture(values: Tensor) -> Tensor:
    """(B, ...) -> (B,): the mean over the pixels, where there are any."""
    return values.reshape(len(values), -1).mean(dim=1)


def answer_rows(values: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Values (B, K, ...) as rows (R, K), one an answer in the order of pictures, and their truth (R,) of (B, ...).

    Answers of unknown truth (VOID) are left out.
    """
    counted = truth.flatten() != VOID
    return values.movedim(1, -1).flatten(0, -2)[counted], truth.flatten()[counted]


def hesitation(probabilities: Tensor) -> Tensor:
    """(B, classes, ...) -> (B,): the entropy of a single answer, in nats; the mean over the pixels."""
    return by_picture(torch.special.entr(probabilities).sum(dim=1))


def borders(labels: Tensor) -> Tensor:
    """Pixels of (B, H, W) integer labels that touch one of another label, sideways or across a corner: bool."""
    around = labels[:, None].float()
    most, least = F.max_pool2d(around, 3, 1, 1), -F.max_pool2d(-around, 3, 1, 1)
    return (most != least)[:, 0]
