"""RandAugment under the hand: /augment"""

from lab.parts.grid_search import grid_search
from lab.studio import studio

LENSES = ("Draws", "Sheet", "Boxes and masks", "Still that class?", "Mix")

studio(
    "Augmentation",
    "RandAugment gives each picture N operations drawn blindly, all at one magnitude M. Drag both and watch: what does "
    "a network in training see, does a larger M always mean more, and when does the label begin to lie?",
    dict.fromkeys(("imagenet:lite0", "imagenet:squeezenet", "augmentation.randaugment"), LENSES),
    others=LENSES,
    parts={"Which N and M?": grid_search},
)
