"""Cutouts: one emoji on a photograph, in fifteen classes: the colour set for classification.

Noto's subcategories are the classes. Three of four emoji of a class, and three of four photographs, serve training;
the others serve testing: a network must recognise a fruit that it has never seen, on a photograph it has never seen.
That is hard for what is learned here alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from engine.assets import asset
from engine.data.base import Batch, Facts
from engine.data.decode import channels as to_channels
from engine.data.embedded import tiles
from engine.data.scenes.photos import photographs

CLASSES = {
    "mammal": "animal-mammal",
    "bird": "animal-bird",
    "sea animal": "animal-marine",
    "insect": "animal-bug",
    "flower": "plant-flower",
    "fruit": "food-fruit",
    "vegetable": "food-vegetable",
    "dish": "food-prepared",
    "sweet": "food-sweet",
    "drink": "drink",
    "land vehicle": "transport-ground",
    "aircraft": "transport-air",
    "building": "place-building",
    "clock": "time",
    "weather": "sky & weather",
}
"""Class -> subcategory: those with twelve emoji or more that have something in common to the eye."""

SIDE, SIZE = 64, 64
"""Side of a stored emoji and default size of an image, in pixels."""

COUNTS = {"train": 4000, "test": 1000}


class Cutouts:
    """Composed images; image i is fixed by the split and i, and does not depend on how many there are.

    The emoji's square takes `least` to .95 of the image's side, lies inside the image, and is then turned by up to 15
    degrees. Classes come equally often, in random order.
    """

    def __init__(
        self, emoji: Sequence[Tensor], photos: Tensor, facts: Facts, count: int, least: float = 0.6, seed: int = 0
    ):
        """emoji: of each class, premultiplied (N, 4, h, w) as `stored` tells them. photos uint8 (M, 3, S, S)."""
        self.emoji, self.photos, self.facts, self.least = emoji, photos, facts, least
        dice = torch.Generator().manual_seed(seed)
        self.draws = torch.rand(count, 8, generator=dice)
        rounds = torch.rand(-(-count // len(emoji)), len(emoji), generator=dice.manual_seed(seed + 1))
        self.labels = rounds.argsort(dim=1).flatten()[:count]

    def __len__(self) -> int:
        return len(self.draws)

    def batch(self, index: Tensor) -> Batch:
        draws, labels = self.draws[index], self.labels[index]
        banks = [self.emoji[label] for label in labels.tolist()]
        emoji = torch.stack([bank[int(u * len(bank))] for bank, u in zip(banks, draws[:, 0].tolist(), strict=True)])
        colours, opacity = placed(emoji, draws[:, 1:5], self.facts.size, self.least)
        pictures = colours + (1 - opacity) * self._behind(draws[:, 5:8])
        images = to_channels((pictures * 255).round().to(torch.uint8), self.facts.channels)
        return Batch(images, index.clone(), labels)

    def _behind(self, draws: Tensor) -> Tensor:
        """draws (B, 3) in [0, 1): which photograph, how far down and right -> squares of them (B, 3, size, size)."""
        side = self.facts.size
        which = (draws[:, 0] * len(self.photos)).long().tolist()
        corners = (draws[:, 1:] * (self.photos.shape[-1] - side + 1)).long().tolist()
        cut = [self.photos[k, :, y : y + side, x : x + side] for k, (y, x) in zip(which, corners, strict=True)]
        return torch.stack(cut).float() / 255


def stored(side: int) -> Tensor:
    """All emoji at about the size they appear in: (N, 4, side, side) in [0, 1], colours times opacity, then opacity."""
    pixels = tiles("cutouts/noto_emoji_64.webp", SIDE).float() / 255
    premultiplied = torch.cat((pixels[:, :3] * pixels[:, 3:], pixels[:, 3:]), 1)
    return functional.interpolate(premultiplied, (side, side), mode="bilinear", antialias=True, align_corners=False)


def placed(emoji: Tensor, draws: Tensor, size: int, least: float = 0.6) -> tuple[Tensor, Tensor]:
    """Premultiplied emoji (B, 4, h, w) -> colours (B, 3, size, size) times opacity, and opacity (B, 1, size, size).

    draws (B, 4) in [0, 1): scale, right, down, turn. least: part of the side that the smallest takes.
    """
    part = least + (0.95 - least) * draws[:, 0]
    shift = (2 * draws[:, 1:3] - 1) * (1 - part)[:, None]
    turn = (2 * draws[:, 3] - 1) * (torch.pi / 12)
    cosine, sine = turn.cos() / part, turn.sin() / part
    right, down = (-shift / part[:, None]).unbind(1)
    maps = torch.stack((cosine, -sine, right, sine, cosine, down), 1).view(-1, 2, 3)
    grid = functional.affine_grid(maps, [len(emoji), 1, size, size], align_corners=False)
    sampled = functional.grid_sample(emoji, grid, align_corners=False)
    return sampled[:, :3], sampled[:, 3:]


def catalogued() -> list[dict[str, str]]:
    """The "name", category "cat" and subcategory "sub" of each emoji, in the order in which they are stored."""
    return json.loads(asset("cutouts/noto_emoji.json").read_text("utf-8"))


def load(variant: str, split: str, size: int | None, channels: int | None) -> Cutouts:
    """The "train" (4 000) or "test" (1 000) split."""
    test, facts = split == "test", Facts(channels or 3, size or SIZE, tuple(CLASSES))
    sheet, subcategories = stored(round(0.8 * facts.size)), [row["sub"] for row in catalogued()]
    emoji = []
    for subcategory in CLASSES.values():
        places = [place for place, name in enumerate(subcategories) if name == subcategory]
        emoji.append(sheet[[place for i, place in enumerate(places) if (i % 4 == 3) == test]])
    return Cutouts(emoji, photographs(2 * facts.size, test), facts, COUNTS[split])
