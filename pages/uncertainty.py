"""Uncertainty under the hand: /uncertainty"""

from lab.studio import studio

WHOLE = ("Doubt", "Reliability", "Refusal", "Strangers", "Corruption")
OWN = ("Doubt", "Corruption")

studio(
    "Uncertainty",
    "Ask a network several times, each time a little different, and it contradicts itself where it does not know. What "
    "every answer leaves open lies in the picture (aleatoric); what they disagree about is for want of learning "
    "(epistemic). Is it as often right as it is sure, what may it be trusted with, and does it notice what is new?",
    {
        "uncertainty.mc_dropout.scenes": ("Pixel by pixel", "Reliability", "Refusal", "Corruption", "Strangers"),
        "uncertainty.mc_dropout": WHOLE,
        "uncertainty.deep_ensembles": (*WHOLE, "One more", "A number"),
        "uncertainty.active_learning": ("What next?", "Course", *WHOLE),
        "augmentation.randaugment": WHOLE,
    },
    others=WHOLE,
)
