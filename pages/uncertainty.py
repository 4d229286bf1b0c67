"""Uncertainty under the hand: /uncertainty"""

from lab.studio import studio

studio(
    "Uncertainty",
    "Ask several networks, or one that forgets at random, and they disagree where they do not know. Total doubt is "
    "what the data leave open (aleatoric) and what more data would settle (epistemic): where does each lie, is the "
    "network as often right as it is sure, and does it notice what it has never seen?",
    {
        "uncertainty.deep_ensembles": ("Members", "One more", "Reliability", "Refusing", "Familiar or not", "A number"),
        "uncertainty.mc_dropout": ("Uncertainty", "Turning", "Reliability", "Familiar or not"),
        "uncertainty.active_learning": ("What next?", "Worth a label?", "Course"),
    },
)
