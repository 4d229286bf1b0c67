"""Masked autoencoders under the hand: /masked"""

from lab.studio import studio

LENSES = ("Reconstruct", "Hide more", "Attention")

studio(
    "Masked pictures",
    "A masked autoencoder learns by hiding most of a picture and painting it from the rest. Hide a share of the "
    "patches, or take the brush and hide what you like: what does the network know, and what does it only continue? "
    "Two ship: one knows twenty objects in colour, one grey garments. Any other may be named in their place or set "
    "beside: a run, or a file, released weights for photographs among them.",
    {"representation.mae.objects": LENSES, "representation.mae": LENSES},
    others=LENSES,
)
