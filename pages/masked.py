"""Masked autoencoders under the hand: /masked"""

from lab.studio import studio

LENSES = ("Reconstruct", "Hide more", "Attention")

studio(
    "Masked pictures",
    "A masked autoencoder learns by hiding most of a picture and painting it from the rest. Hide a share of the "
    "patches, or take the brush and hide what you like: what does the network know, and what does it only continue? "
    "The shipped one knows grey garments. Any other may be named in its place or set beside it: a run, or a file, "
    "released weights for photographs among them.",
    {"representation.mae": LENSES},
    others=LENSES,
)
