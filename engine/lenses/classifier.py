"""What a lens for classifiers looks through: a module from images to logits that knows what its classes are called."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.data.base import Facts


class Classifies(nn.Module):
    """Any model as a classifier: images (B, C, H, W) in [0, 1] -> logits (B, K); `classes` are the K names.

    data: what it learned from, by name; "" where nobody knows.
    """

    def __init__(self, model: nn.Module, facts: Facts, data: str = ""):
        super().__init__()
        self.model, self.facts, self.data, self.classes = model, facts, data, facts.classes

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)


def answer_to(model: nn.Module, facts: Facts) -> Tensor | None:
    """What `model`, in eval mode, gives for one black picture; None when its `forward` is for something else."""
    weight = next(iter(model.parameters()), torch.empty(0))
    picture = torch.zeros(1, facts.channels, facts.size, facts.size, device=weight.device)
    try:
        with torch.no_grad():
            told = model(picture)
    except (TypeError, ValueError, RuntimeError):
        return None
    return told if isinstance(told, Tensor) else None


def as_classifier(model: nn.Module, facts: Facts, data: str = "") -> Classifies | None:
    """`model`, in eval mode, as a classifier of the data's classes; None when it gives a picture no row of logits."""
    if len(facts.classes) < 2:
        return None
    told = answer_to(model, facts)
    fits = told is not None and told.shape == (1, len(facts.classes))
    return Classifies(model, facts, data) if fits else None
