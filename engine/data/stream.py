"""A stream: garments as they come, not as somebody chose them. Few kinds are common, most are rare, and a share of the
pictures is no garment at all: glyphs, plain texture, copies of copies, garments in the wrong polarity.

It is drawn at random from the training pictures of the garments, again and again, so that pictures come back. Test
pictures are those of the garments, as many of each kind.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engine.data import garments, glyphs
from engine.data.base import Memory
from engine.data.embedded import whole
from engine.data.subset import labels_in

COUNT = 38_400
"""Pictures in the stream."""
TAIL, NOISE = 1.5, 0.2
"""How steeply garments become rare, and the share of what is no garment, when nothing else is asked for."""
FLOOR, MOST_NOISE, COPIED = 12, 0.9, 16
"""Pictures that even the rarest garment may expect; the largest share of noise; garments of which copies are made."""
NOISES = ("glyph", "texture", "copy", "negative")
KINDS = (*garments.CLASSES, *NOISES)


def expected(tail: float, noise: float, count: int = COUNT) -> Tensor:
    """How many pictures of each of `KINDS` to expect, float64 (14,), summing to `count`.

    Garments follow Zipf's law in the order of their labels: the r-th is r^-tail as frequent as the first, but comes
    `FLOOR` times or more, for which the first gives way; noises share `noise` of all evenly. tail 0, noise 0: curated.
    """
    if not (tail >= 0 and math.isfinite(tail)):
        raise ValueError(f"stream: the exponent of the tail is 0 (all alike) or more, got {tail:g}; try {TAIL}")
    if not 0 <= noise <= MOST_NOISE:
        raise ValueError(f"stream: the share of noise is 0 to {MOST_NOISE}, got {noise:g}; try {NOISE}")
    clean, kinds = count * (1 - noise), len(garments.CLASSES)
    if clean < FLOOR * kinds:
        raise ValueError(f"stream: {kinds} kinds need {FLOOR * kinds} garments or more, got {clean:g}; ask for more")
    law = torch.arange(1, kinds + 1, dtype=torch.float64) ** -tail
    rare = (clean * law / law.sum())[1:].clamp(min=FLOOR)
    noises = torch.full((len(NOISES),), count * noise / len(NOISES), dtype=torch.float64)
    return torch.cat(((clean - rare.sum())[None], rare, noises))


def draw(tail: float, noise: float, seed: int, count: int = COUNT) -> tuple[Tensor, Tensor]:
    """Images uint8 (count, 1, 28, 28) and the kind of each, int64 (count,), in random order."""
    dice = torch.Generator().manual_seed(seed)
    kinds = torch.multinomial(expected(tail, noise, count), count, replacement=True, generator=dice)
    known = garments.load("", "train", None, None).rows
    known_labels, labels = labels_in(known), kinds.clone()
    negative = kinds == KINDS.index("negative")
    fair = expected(tail, 0.0, count)[: len(garments.CLASSES)]
    labels[negative] = torch.multinomial(fair, int(negative.sum()) or 1, True, generator=dice)[: int(negative.sum())]
    images = torch.empty(count, *known.images.shape[1:], dtype=torch.uint8)
    for label in range(len(garments.CLASSES)):
        wanted, pool = (labels == label).nonzero()[:, 0], (known_labels == label).nonzero()[:, 0]
        images[wanted] = known.images[pool[torch.randint(len(pool), (len(wanted),), generator=dice)]]
    images[negative] = 255 - images[negative]
    originals = known.images[torch.randperm(len(known), generator=dice)[:COPIED]]
    letters = glyphs.load("", "train", None, None).rows.images
    for kind, pool in (("glyph", letters), ("copy", originals)):
        wanted = (kinds == KINDS.index(kind)).nonzero()[:, 0]
        images[wanted] = pool[torch.randint(len(pool), (len(wanted),), generator=dice)]
    copies, textured = (kinds == KINDS.index(kind) for kind in ("copy", "texture"))
    images[copies] = slightly_changed(images[copies], dice)
    images[textured] = textures(int(textured.sum()), known.images.shape[-1], dice)
    return images, kinds


def slightly_changed(images: Tensor, dice: torch.Generator) -> Tensor:
    """uint8 (N, 1, H, W): each moved by a pixel at most, what leaves it coming back at the other end, and up to a fifth
    darker."""
    side = images.shape[-1]
    rows, columns = (
        (torch.arange(side) + torch.randint(-1, 2, (len(images), 1), generator=dice)) % side for _ in range(2)
    )
    moved = images[torch.arange(len(images))[:, None, None], 0, rows[:, :, None], columns[:, None, :]]
    return (moved * (0.8 + 0.2 * torch.rand(len(images), 1, 1, generator=dice)))[:, None].round().to(torch.uint8)


def textures(count: int, side: int, dice: torch.Generator) -> Tensor:
    """uint8 (count, 1, side, side): waves of a random direction, 2 to 9 over the side, with grain."""
    turn, waves, phase, grain = torch.rand(4, count, 1, 1, generator=dice)
    place = torch.linspace(0, 1, side)
    along = place[None, :] * (math.pi * turn).cos() + place[:, None] * (math.pi * turn).sin()
    wave = (2 * math.pi * ((2 + 7 * waves) * along + phase)).sin()
    noisy = 0.5 + 0.35 * wave + 0.25 * grain * torch.randn(count, side, side, generator=dice)
    return (noisy.clamp(0, 1) * 255).round().to(torch.uint8)[:, None]


def read(variant: str) -> tuple[float, float, int]:
    """Tail, share of noise and seed of what follows the colon: "TAIL:NOISE:SEED", each of which may be left out."""
    told = variant.split(":") if variant else []
    try:
        tail, noise, seed = (*map(float, told[:2]), *(TAIL, NOISE)[len(told) :], int(told[2]) if len(told) > 2 else 0)
    except ValueError:
        seed = -1
    if seed < 0 or len(told) > 3:
        raise ValueError(f"stream: {variant!r} is not TAIL:NOISE:SEED; ask for stream, stream:0:0 (curated) or "
                         f"stream:{TAIL}:{NOISE}:1")  # fmt: skip
    expected(tail, noise)
    return tail, noise, seed


def load(variant: str, split: str, size: int | None, channels: int | None) -> Memory:
    """The "train" split is the stream; "test" pictures are the garments', as many of each kind."""
    tail, noise, seed = read(variant)
    if split == "train":
        images, kinds = draw(tail, noise, seed)
    else:
        rows = garments.load("", split, None, None).rows
        images, kinds = rows.images, labels_in(rows)
    return whole(images, kinds, KINDS, size, channels)
