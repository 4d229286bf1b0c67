"""Images with boxes and perhaps outlines, wherever they were read from; the whole image is shown at every size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.data.base import VOID, Batch, Facts
from engine.data.coco_masks import polygon_mask, rle_mask
from engine.data.decode import ImageError, decode
from engine.data.letterbox import letterbox, letterbox_boxes, letterbox_labels


@dataclass(frozen=True)
class Thing:
    """One object. box: x1, y1, x2, y2, half open. label: 0..K-1. ignore: neither rewarded nor punished.

    outline: None, polygons (lists of x0, y0, x1, y1, ...) or run lengths ({"counts": ...}).
    """

    box: tuple[float, float, float, float]
    label: int
    ignore: bool = False
    outline: Any = None

    def mask(self, height: int, width: int) -> np.ndarray:
        """(height, width) bool."""
        if isinstance(self.outline, dict):
            return rle_mask(self.outline["counts"], height, width)
        return polygon_mask(self.outline, height, width)


@dataclass(frozen=True)
class Annotated:
    """One image file of height x width pixels with its things, the nearest (or smallest) last."""

    file: Path
    height: int
    width: int
    things: tuple[Thing, ...]


@dataclass(frozen=True)
class Reader:
    """Reads annotated images; outlines say whether every thing that counts has one."""

    images: Sequence[Annotated]
    facts: Facts
    outlines: bool

    def row(self, i: int) -> Batch:
        """The i-th image as a Batch of one; its things keep their order, and thing n is instance n + 1."""
        record, size = self.images[i], self.facts.size
        image = decode(record.file)
        if image.shape[1:] != (record.height, record.width):
            raise ImageError(
                str(record.file),
                f"has {image.shape[2]} x {image.shape[1]} pixels, its annotations say {record.width} x {record.height};"
                " use the version that was annotated, or save it without EXIF rotation",
            )
        boxes = torch.tensor([thing.box for thing in record.things], dtype=torch.float32).view(-1, 4)
        semantic = instances = None
        if self.outlines:
            semantic, instances = (torch.from_numpy(each) for each in self.maps(record))
            semantic = letterbox_labels(semantic, size)[None]
            instances = letterbox_labels(instances, size, outside=0)[None]
        return Batch(
            images=letterbox(image, self.facts)[None],
            index=torch.tensor([i]),
            boxes=[letterbox_boxes(boxes, record.height, record.width, size)],
            box_labels=[torch.tensor([thing.label for thing in record.things], dtype=torch.int64)],
            box_ignore=[torch.tensor([thing.ignore for thing in record.things], dtype=torch.bool)],
            semantic=semantic,
            instances=instances,
        )

    def maps(self, record: Annotated) -> tuple[np.ndarray, np.ndarray]:
        """Semantic labels and instances (H, W) int64; ignored things are void."""
        semantic = np.zeros((record.height, record.width), dtype=np.int64)
        instances = np.zeros_like(semantic)
        for place, thing in enumerate(record.things):
            try:
                mask = thing.mask(record.height, record.width)
            except (ValueError, TypeError, LookupError) as error:
                raise ImageError(
                    str(record.file), f"the outline of its thing {place + 1} cannot be drawn: {error}"
                ) from None
            semantic[mask] = VOID if thing.ignore else thing.label + 1
            instances[mask] = 0 if thing.ignore else place + 1
        return semantic, instances


def inside(box: tuple[float, float, float, float], height: int, width: int) -> tuple[float, float, float, float] | None:
    """The box clipped to the image; None when it reaches out by more than a pixel."""
    x1, y1, x2, y2 = box
    if min(x1, y1) < -1 or x2 > width + 1 or y2 > height + 1:
        return None
    return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
