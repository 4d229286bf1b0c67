"""Photographs behind the scenes, and textures cut from them.

Photographs whose place in the alphabet is 3 modulo 4 serve the test split only, as backgrounds and as textures.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from engine.data.scenes.parameters import stream

ASSETS = Path(__file__).resolve().parents[3] / "assets"

SHOW_THINGS = {"apple", "chelsea", "fruits", "orange", "raccoon", "smarties", "squirrel_cls"}
"""Photographs of fruit, sweets and animal faces: as a background they would be things without a label."""


@lru_cache(maxsize=4)
def photographs(side: int, test: bool) -> Tensor:
    """(M, 3, side, side) uint8: the backgrounds of the test split or of the others. A photograph that is not square
    gives two squares, one from each end, which stand side by side."""
    squares = []
    for place, path in enumerate(sorted((ASSETS / "photos").glob("*.jpg"))):
        if (place % 4 == 3) is not test or path.stem in SHOW_THINGS:
            continue
        with Image.open(path) as file:
            photo = file.convert("RGB")
        width, height = photo.size
        short = min(width, height)
        for left, top in sorted({(0, 0), (width - short, height - short)}):
            square = photo.resize((side, side), Image.Resampling.BICUBIC, (left, top, left + short, top + short))
            squares.append(torch.from_numpy(np.array(square)).permute(2, 0, 1))
    if not squares:
        raise FileNotFoundError(f"no photographs in {ASSETS / 'photos'}; restore the assets folder of the checkout")
    return torch.stack(squares)


def textures(photos: Tensor, side: int, count: int = 256) -> Tensor:
    """(count, 3, side, side) in [0, 1]: squares of a third of a photograph's side, at random places."""
    generator = stream(777)
    crop = photos.shape[-1] // 3
    which, y, x = (torch.rand(3, count, generator=generator) * torch.tensor(
        [[len(photos)], [photos.shape[-1] - crop + 1], [photos.shape[-1] - crop + 1]])).long().tolist()  # fmt: skip
    cut = torch.stack([photos[k, :, i : i + crop, j : j + crop] for k, i, j in zip(which, y, x, strict=True)])
    return F.interpolate(cut.float() / 255, (side, side), mode="bilinear", antialias=True, align_corners=False)
