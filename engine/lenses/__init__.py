"""Lenses that fit more than one method: any model that answers a picture with classes, whoever trained it."""

from engine.lenses import augmented

CLASSIFIER = (augmented.DRAWS, augmented.SHEET, augmented.STILL, augmented.MIX)
"""For any classifier, in the order in which they are offered; for the model that they get see `classifier`."""
