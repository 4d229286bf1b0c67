"""Where data comes from: embedded sets, generated scenes, and what people have on disk, behind one interface.

A source is named by a spec: "garments", "scenes:scene96", "torchvision:CIFAR10", "folder:/my/pictures".
`open_data` opens a split of it, `list_data` tells what there is. Nothing heavy is imported until a source is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

from engine.data.known_sets import KNOWN

if TYPE_CHECKING:
    from engine.data.base import Dataset

SPLITS = ("train", "val", "test")
LARGEST = 2048
"""Pixels that an image's side may have."""


@dataclass(frozen=True)
class Source:
    """A row of the list of sources. spec: how to ask for it; what stands in CAPITALS is for you to fill in.

    count, classes: training images and classes (None: as many as there are). size: pixels, when none is asked for.
    """

    spec: str
    says: str
    count: int | None
    classes: int | None
    size: int
    licence: str


EMBEDDED = (
    Source("garments", "Fashion-MNIST, a balanced part: grey clothes in ten classes", 10_000, 10, 28, "MIT"),
    Source(
        "stream", "garments as they come: few kinds are common, most rare, a fifth of the pictures none at all",
        38_400, 14, 28, "MIT; Bitstream Vera and Arev",
    ),
    Source("stream:0:0", "as many garments, curated: as many of each kind", 38_400, 14, 28, "MIT"),
    Source("glyphs", "letters in twelve faces; the splits share no class", 3_816, 318, 28, "Bitstream Vera and Arev"),
    Source(
        "cutouts", "one emoji on a photograph, in colour; the splits share no emoji", 4_000, 15, 64,
        "Apache-2.0; photographs as below",
    ),
    Source(
        "objects", "one of twenty emoji on a photograph, in colour", 10_000, 20, 32, "Apache-2.0; photographs as below"
    ),
    Source("photos", "real photographs, whole", 20, 0, 128, "free, file by file: assets/LICENSES.md"),
    Source("photos:things", "those of the photographs that show something with a name", 12, 0, 128, "as photos"),
    Source("photos:crops", "random crops of the photographs; photos:crops:500 gives 500", 4_000, 0, 64, "as photos"),
    Source("nuclei", "a fluorescence micrograph in squares: boxes and instances", 12, 1, 128, "BSD-3-Clause"),
    Source("video:pedestrians", "a street in 96 frames", 96, 0, 224, "Apache-2.0"),
    Source("video:bunny", "an animated film in 106 frames", 106, 0, 224, "CC-BY-3.0"),
)  # fmt: skip

SCENES = {
    "scene64": (4, 64, "up to 3 objects"),
    "scene64s": (4, 64, "up to 3 objects on a ground"),
    "scene64h": (8, 64, "up to 4 objects on a ground, harder"),
    "scene32b": (1, 32, "up to 2 objects of one kind"),
    "scene96": (8, 96, "up to 5 objects, smaller"),
    "scene256": (8, 256, "4 to 12 objects"),
    "scene512": (8, 512, "8 to 24 objects"),
    "masks32": (8, 32, "one whole object"),
    "flow64": (8, 64, "up to 4 moving objects, no noise"),
}
"""Preset -> classes, size, what is in it."""

FILES = (
    Source(
        "folder:PATH", "a folder with one folder a class; train, val, test above them or not", None, None, 224, "yours"
    ),
    Source("unlabelled:PATH", "a folder of images", None, 0, 224, "yours"),
    Source("coco:FILE", "boxes and outlines in COCO's format", None, None, 224, "yours"),
    Source("voc:PATH", "boxes in Pascal VOC's xml", None, None, 224, "yours"),
    Source("masks:PATH", "images/ and masks/, paired by name", None, None, 224, "yours"),
    Source("video:FILE", "the frames of a film", None, 0, 224, "yours"),
)

LOADERS = {
    "garments": "garments.load",
    "stream": "stream.load",
    "glyphs": "glyphs.load",
    "cutouts": "cutouts.load",
    "objects": "objects.load",
    "photos": "photos.load",
    "nuclei": "nuclei.load",
    "scenes": "scene_sets.load",
    "torchvision": "torchvision_sets.load",
    "folder": "folder.load_labelled",
    "unlabelled": "folder.load_unlabelled",
    "coco": "coco.load",
    "voc": "voc.load",
    "masks": "masks.load",
    "video": "video.load",
}
"""What stands before the colon -> the function (what follows, split, size, channels) -> Dataset."""

WITHOUT_VARIANT = ("garments", "glyphs", "cutouts", "objects", "nuclei")
WITHOUT_VAL = (*WITHOUT_VARIANT, "stream", "photos", "torchvision", "video")


def open_data(spec: str, split: str = "train", size: int | None = None, channels: int | None = None) -> Dataset:
    """A split of a source: its images at `size` x `size` with `channels` (by default as they come), and all it knows.

    spec: see `list_data`. split: "train", "val" or "test". ValueError tells in a sentence what cannot be and what can.
    """
    name, _, variant = spec.partition(":")
    if name not in LOADERS:
        near = get_close_matches(spec, [source.spec for source in list_data()] + list(KNOWN), 3, 0.5)
        hint = ", ".join(f"torchvision:{each}" if each in KNOWN else each for each in near) or ", ".join(LOADERS)
        raise ValueError(f"data: there is no source {spec!r}; use {hint}")
    if name in WITHOUT_VARIANT and variant:
        raise ValueError(f"data: {name} takes nothing after the colon, got {variant!r}; use {name}")
    allowed = ("train", "test") if name in WITHOUT_VAL else SPLITS
    if split not in allowed:
        raise ValueError(f"split: {name} has {', '.join(allowed)}, got {split!r}")
    if size is not None and not 1 <= size <= LARGEST:
        raise ValueError(f"size: got {size}; use 1 to {LARGEST} pixels")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels: got {channels}; use 1 (grey) or 3 (colour)")
    module, function = LOADERS[name].split(".")
    return getattr(import_module(f"engine.data.{module}"), function)(variant, split, size, channels)


def list_data() -> list[Source]:
    """Every source, the embedded ones first; nothing is loaded."""
    scenes = [
        Source(
            f"scenes:{preset}", f"generated scenes: {says}", 1_600, classes, size, "Apache-2.0; photographs as photos"
        )
        for preset, (classes, size, says) in SCENES.items()
    ]
    named = [
        Source(
            f"torchvision:{name}",
            "fetched once, or from your disk",
            known.count,
            known.classes,
            known.size,
            known.licence,
        )
        for name, known in KNOWN.items()
    ]
    return [*EMBEDDED, *scenes, *FILES, *named]
