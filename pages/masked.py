"""Masked autoencoders under the hand: /masked"""

from lab.studio import studio

LENSES = ("Reconstruct", "Hide more", "Attention")

studio(
    "Masked pictures",
    "A masked autoencoder learns by hiding most of a picture and painting it from the rest. Hide a share of the "
    "patches, or take the brush and hide what you like: what does the network know, and what does it only continue?",
    {"representation.mae": LENSES},
    others=LENSES,
)
