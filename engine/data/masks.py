"""Images with label maps: images/NAME.jpg beside masks/NAME.png, paired by name.

A mask's numbers are classes: 0 background, 1..K, 255 void; the colours of a palette mean nothing. Names stand in
classes.txt, a line a class from class 1 on. Masks of 0 and 255 only are binary: 255 is the object. With train and val
(or test) folders, each holding images and masks, these are the splits; without, a fifth of the images is held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.data.base import VOID, Batch, Facts
from engine.data.decode import ImageError, decode, decode_labels
from engine.data.faults import Fault, stop_at_first
from engine.data.lazy import Lazy, parallel
from engine.data.letterbox import letterbox, letterbox_labels
from engine.data.paths import existing, held_out, pictures, split_folder, split_folders, subfolders

SIZE = 224
IMAGES = ("images", "image", "imgs", "jpegimages")
MASKS = ("masks", "mask", "labels", "annotations", "segmentationclass")
"""What people call the two folders; upper case is as good."""


@dataclass(frozen=True)
class Pairs:
    """Images with their masks; `row` reads one pair."""

    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    facts: Facts
    binary: bool

    def row(self, i: int) -> Batch:
        image, labels = decode(self.images[i]), decode_labels(self.masks[i])
        if labels.shape != image.shape[1:]:
            raise ImageError(str(self.masks[i]), _other_size(labels, image))
        if self.binary:
            labels = (labels == VOID).long()
        known = len(self.facts.classes)
        if strange := sorted(set(labels.unique().tolist()) - {*range(known + 1), VOID}):
            raise ImageError(
                str(self.masks[i]), f"holds the numbers {strange[:5]}; allowed are 0 to {known} and {VOID} for void"
            )
        return Batch(
            images=letterbox(image, self.facts)[None],
            index=torch.tensor([i]),
            semantic=letterbox_labels(labels, self.facts.size)[None],
        )


def load(path: str, split: str, size: int | None, channels: int | None) -> Lazy:
    """The images of a split with their semantic labels."""
    root = existing(path, "masks:")
    spec = f"masks:{path}"
    folders = split_folders(root)
    pairs, faults = paired(split_folder(folders, split, root) if folders else root)
    stop_at_first(faults, spec)
    every = pairs if not folders else paired(folders["train"])[0]
    classes, binary = class_names(root, [mask for _, mask in every])
    if not folders:
        test = held_out([image.name for image, _ in pairs], [0] * len(pairs))
        pairs = [pair for place, pair in enumerate(pairs) if (place in test) == (split != "train")]
    if not pairs:
        raise ValueError(f"{root}: the {split} split has no images; add some")
    images, masks = zip(*pairs, strict=True)
    facts = Facts(channels or 3, size or SIZE, classes)
    return Lazy(facts, len(pairs), Pairs(images, masks, facts, binary).row, spec)


def paired(root: Path) -> tuple[list[tuple[Path, Path]], list[Fault]]:
    """(image, mask) in the order of names, and a fault for each that has no partner."""
    folders = {folder.name.lower(): folder for folder in subfolders(root)}
    images, masks = (next((folders[n] for n in names if n in folders), None) for names in (IMAGES, MASKS))
    if images is None or masks is None:
        lacks = "images" if images is None else "masks"
        return [], [Fault("missing", str(root), f"has no folder {lacks}", "put images/ and masks/ into it")]
    by_name = {path.relative_to(images).with_suffix(""): path for path in pictures(images)}
    masks_by_name = {path.relative_to(masks).with_suffix(""): path for path in pictures(masks)}
    faults = [
        Fault(
            "unpaired-mask", str(own[name]), f"there is no {what} of this name", f"add the {what}, or remove the file"
        )
        for own, other, what in ((by_name, masks_by_name, "mask"), (masks_by_name, by_name, "image"))
        for name in sorted(own.keys() - other.keys())
    ]
    return [(by_name[name], masks_by_name[name]) for name in sorted(by_name.keys() & masks_by_name.keys())], faults


def class_names(root: Path, masks: list[Path]) -> tuple[tuple[str, ...], bool]:
    """The names of the classes 1..K, and whether the masks are binary; without classes.txt all masks are looked at."""
    if names := listed_names(root):
        return names, False
    found = set().union(*parallel(numbers, masks)) - {0}
    if found == {VOID}:
        return ("object",), True
    return tuple(f"class {label}" for label in range(1, max(found - {VOID}, default=0) + 1)), False


def listed_names(root: Path) -> tuple[str, ...]:
    """The names in classes.txt, without the background; empty where there is none."""
    listed = root / "classes.txt"
    if not listed.is_file():
        return ()
    names = [line.strip() for line in listed.read_text("utf-8").splitlines() if line.strip()]
    return tuple(names[1:] if names and names[0].lower() == "background" else names)


def numbers(mask: Path) -> set[int]:
    """The numbers that occur in a mask."""
    return set(decode_labels(mask).unique().tolist())


def _other_size(labels: Tensor, image: Tensor) -> str:
    mask, picture = (f"{pixels.shape[-1]} x {pixels.shape[-2]}" for pixels in (labels, image))
    return f"has {mask} pixels, its image has {picture}; save both at one size"
