"""Lenses that fit more than one method: any model that answers a picture with classes, whoever trained it."""

from engine.lenses import augmented
from engine.lenses.several import several
from engine.method import Lens

CLASSIFIER: tuple[Lens, ...] = (augmented.DRAWS, augmented.SHEET, augmented.STILL, augmented.MIX, *several("views"))
"""For any classifier, in the order in which they are offered; for the model that they get see `classifier`."""
