"""Photos: 26 real photographs without labels, whole or as random crops.

The photographs at places 3, 7, 11, ... of the alphabet are the test split, here and behind the scenes.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from engine.assets import ROOT
from engine.data.base import Batch, Dataset, Facts, Memory
from engine.data.decode import decode, fit

WHOLE, CROP = 128, 64
"""Default sizes in pixels."""

CROPS = {"train": 4000, "test": 800}
"""Default numbers of crops."""

THINGS = ("chelsea", "coffee", "flower", "squirrel_cls", "rocket", "orange", "camera", "raccoon", "building", "apple",
          "fruits", "astronaut")  # fmt: skip
"""Photographs of something that a network of ImageNet's classes has a word for, the surest first."""

SMALLEST = 0.25
"""A crop's side is between this part of the photograph's short side and all of it."""


@lru_cache(maxsize=2)
def photographs(split: str) -> tuple[Tensor, ...]:
    """The photographs of the "train" or "test" split, uint8 (3, H, W), at most 512 pixels long."""
    paths = sorted((ROOT / "photos").glob("*.jpg"))
    if not paths:
        raise FileNotFoundError(f"{ROOT / 'photos'} holds no photographs; restore it with `git checkout -- assets`")
    return tuple(decode(path) for place, path in enumerate(paths) if (place % 4 == 3) == (split == "test"))


def things() -> tuple[Tensor, ...]:
    """The photographs of THINGS, uint8 (3, H, W)."""
    return tuple(decode(ROOT / "photos" / f"{name}.jpg") for name in THINGS)


class Crops:
    """Random square crops of photographs; crop i is fixed by the seed and does not depend on how many there are."""

    def __init__(self, photos: tuple[Tensor, ...], count: int, facts: Facts, seed: int = 0):
        self.photos, self.facts = photos, facts
        self.places = torch.rand(count, 4, generator=torch.Generator().manual_seed(seed))

    def __len__(self) -> int:
        return len(self.places)

    def batch(self, index: Tensor) -> Batch:
        return Batch(torch.stack([self._crop(place) for place in self.places[index].tolist()]), index.clone())

    def _crop(self, place: list[float]) -> Tensor:
        """place: four numbers in [0, 1): which photograph, how large, how far down, how far right."""
        photo = self.photos[int(place[0] * len(self.photos))]
        height, width = photo.shape[1:]
        side = round((SMALLEST + (1 - SMALLEST) * place[1]) * min(height, width))
        top, left = int(place[2] * (height - side + 1)), int(place[3] * (width - side + 1))
        return fit(photo[:, top : top + side, left : left + side], self.facts)


def load(variant: str, split: str, size: int | None, channels: int | None) -> Dataset:
    """variant "": whole photographs, their central square. "things": those that show something with a name, in every
    split. "crops" or "crops:N": N random crops."""
    photos = things() if variant == "things" else photographs(split)
    if variant in ("", "things"):
        facts = Facts(channels or 3, size or WHOLE)
        return Memory(Batch(torch.stack([fit(photo, facts) for photo in photos]), torch.arange(len(photos))), facts)
    kind, _, number = variant.partition(":")
    if kind != "crops" or (number and not (number.isdecimal() and 1 <= int(number) <= 1_000_000)):
        raise ValueError(
            f"photos: there is no {variant!r}; use photos, photos:things, photos:crops or photos:crops:N with N from "
            "1 to 1 000 000"
        )
    return Crops(photos, int(number or CROPS[split]), Facts(channels or 3, size or CROP))
