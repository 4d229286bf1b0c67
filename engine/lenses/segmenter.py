"""What a lens for segmenters looks through: a module from images to logits for every pixel, and its classes' names."""

from __future__ import annotations

from torch import Tensor, nn

from engine.data.base import Facts
from engine.lenses.classifier import answer_to


class Segments(nn.Module):
    """Any model as a segmenter: images (B, C, S, S) in [0, 1] -> logits (B, K, S, S); `classes` are the K names, the
    first is the background."""

    def __init__(self, model: nn.Module, classes: tuple[str, ...]):
        super().__init__()
        self.model, self.classes = model, classes

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)


def as_segmenter(model: nn.Module, facts: Facts) -> Segments | None:
    """`model`, in eval mode, as a segmenter; None when it does not name its `classes`, or gives a picture no logits for
    its pixels."""
    classes = getattr(model, "classes", None)
    if not isinstance(classes, tuple) or len(classes) < 2:
        return None
    told = answer_to(model, facts)
    fits = told is not None and told.shape == (1, len(classes), facts.size, facts.size)
    return Segments(model, classes) if fits else None
