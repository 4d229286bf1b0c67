"""Augmentations of whole batches, where the images are, with a decision of its own for each image.

Each is called as `augment(images, generator)`. Images are (B, C, H, W), C of 1 or 3, uint8 or float in [0, 1]; augment
before normalising. The generator may be on any device: decisions are drawn on the host, which never waits for a GPU.
"""

from engine.augment.augmix import AugMix
from engine.augment.autoaugment import AutoAugment
from engine.augment.magnitudes import Magnitudes, Scale, Space, magnitudes
from engine.augment.mix import Mixed, cutmix, mixup
from engine.augment.operations import NAMES, OPERATIONS
from engine.augment.policy import Decisions, Policy
from engine.augment.randaugment import RandAugment, apply_operation
from engine.augment.trivialaugment import TrivialAugment
from engine.augment.views import View, crop_flip, moco_v1, moco_v2, simclr, weak

__all__ = [
    "NAMES", "OPERATIONS", "AugMix", "AutoAugment", "Decisions", "Magnitudes", "Mixed", "Policy", "RandAugment",
    "Scale", "Space", "TrivialAugment", "View", "apply_operation", "crop_flip", "cutmix", "magnitudes", "mixup",
    "moco_v1", "moco_v2", "simclr", "weak",
]  # fmt: skip
