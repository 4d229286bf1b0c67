"""Test-time augmentation under the hand: /views"""

from lab.studio import studio

PLAIN = ("Fan", "Worth a pass?")

studio(
    "Views",
    "One picture, seen in several ways, and the answers merged. Every way costs a pass of the network: which of them "
    "help, which do harm, and can a small network foretell the best before any is tried? Networks that know garments "
    "have labelled test pictures: there the worth of each view is measured.",
    {
        "imagenet:lite0": ("Fan",),
        "augmentation.randaugment": PLAIN,
        "uncertainty.mc_dropout": PLAIN,
        "uncertainty.mc_dropout.scenes": ("Pixels in views",),
        "detection.retinanet": ("Boxes in views", "Worth it for boxes?"),
        "augmentation.learned_tta": ("Views", "Every way", "How many", "Foretold and true", "Fault and view", "Again"),
    },
    others=(*PLAIN, "Pixels in views"),
)
