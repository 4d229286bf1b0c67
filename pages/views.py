"""Test-time augmentation under the hand: /views"""

from lab.studio import studio

studio(
    "Views",
    "One picture, seen in several ways: which way of looking does the network understand best? All ways cost as many "
    "passes as there are; a small network that foretells each way's loss picks one or two before any is tried.",
    {"augmentation.learned_tta": ("Views", "How many", "Again", "Fault and view", "Foretold and true")},
)
