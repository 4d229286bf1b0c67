"""Lenses that fit more than one method: any model that answers a picture with classes, whoever trained it."""

from engine.lenses import augmented, followed, glance, moved, saliency, views
from engine.lenses.several import several
from engine.method import Lens

CLASSIFIER: tuple[Lens, ...] = (
    augmented.DRAWS, augmented.SHEET, augmented.STILL, augmented.MIX, followed.FOLLOWED,
    views.LOOK_FAN, views.WORTH, saliency.WHERE, glance.GLANCE, glance.ANSWERS, *several("views"),
)  # fmt: skip
"""For any classifier, in the order in which they are offered; for the model that they get see `classifier`."""
SEGMENTER = (moved.PIXELS,)
"""For any model that says of every pixel what it is; see `segmenter`."""
