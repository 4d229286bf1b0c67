"""Style transfer under the hand: /style"""

from lab.studio import studio

studio(
    "Style",
    "A trained network knows what is where (content) and how it is painted (style: which of its channels fire "
    "together, the Gram matrices). Keep the one of your picture and take the other from a painting. "
    "The network is VGG-19 where its weights are on this machine, else SqueezeNet, which ships.",
    {"generation.style_transfer": ("Transfer", "Instant", "Ratios", "Depths", "Gram matrices")},
    beside=False,
)
