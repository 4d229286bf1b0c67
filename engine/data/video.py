"""Video files as sets of frames: the first four fifths are for training, the last fifth is for testing.

`video:pedestrians` and `video:bunny` ship with the lab; any other name is a file.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import torch
from torch import Tensor

from engine.assets import ROOT
from engine.data.base import Batch, Facts, Memory
from engine.data.decode import ImageError, fit
from engine.data.paths import existing

SIZE = 224
LONGEST = 2 * 2**30
"""Bytes that the frames may take in memory."""


def load(name: str, split: str, size: int | None, channels: int | None) -> Memory:
    """The frames of a split in their order, held in memory."""
    shipped = ROOT / "video" / f"{name}.mp4"
    path = shipped if name and shipped.is_file() else existing(name, "video:")
    facts = Facts(channels or 3, size or SIZE)
    images = frames(path, facts)
    border = len(images) - len(images) // 5
    images = images[:border] if split == "train" else images[border:]
    if not len(images):
        raise ValueError(f"{path}: the {split} split has no frames; use a longer film")
    return Memory(Batch(images, torch.arange(len(images))), facts)


def frames(path: Path, facts: Facts) -> Tensor:
    """Every frame's central square: uint8 (T, C, size, size)."""
    film = cv2.VideoCapture(str(path))
    kept: list[Tensor] = []
    try:
        while True:
            good, frame = film.read()
            if not good:
                break
            upright = torch.from_numpy(frame[..., ::-1].copy()).permute(2, 0, 1)
            kept.append(fit(upright, facts))
            if len(kept) * kept[0].numel() > LONGEST:
                raise ImageError(str(path), f"has more than {len(kept)} frames of this size; cut it, or lower size")
    finally:
        film.release()
    if not kept:
        raise ImageError(str(path), "has no frame that can be read; save it as mp4 (H.264)")
    return torch.stack(kept)
