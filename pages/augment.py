"""RandAugment under the hand: /augment"""

from lab.studio import studio

studio(
    "Augmentation",
    "RandAugment gives each picture N operations drawn blindly, all at one magnitude M. Drag both and watch: what does "
    "a network in training see, does a larger M always mean more, and when does the label begin to lie?",
    lenses=("Draws", "Sheet", "Still that class?", "Mix"),
    models=("imagenet:lite0", "imagenet:squeezenet", "augmentation.randaugment"),
)
