"""COCO's json: boxes, polygons, run lengths, crowds (format: cocodataset.org/#format-data).

`coco:instances_train.json` reads that file; its test split is instances_val.json or instances_test.json beside it, or
else a fifth of the images. Category ids, which may have gaps, become labels 0..K-1 in the order of the ids.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from engine.data.annotated import Annotated, Reader, Thing, inside
from engine.data.base import VOID, Facts
from engine.data.faults import Fault, Kind, stop_at_first
from engine.data.lazy import Lazy
from engine.data.paths import existing, held_out

SIZE = 224


class Wrong(ValueError):
    """What is wrong with one annotation: kind, sentence, fix."""

    def __init__(self, kind: Kind, sentence: str, fix: str):
        self.kind, self.sentence, self.fix = kind, sentence, fix
        super().__init__(sentence)


@dataclass(frozen=True)
class Coco:
    """A json file read: classes in label order, images in the file's order, and every fault met on the way."""

    classes: tuple[str, ...]
    images: tuple[Annotated, ...]
    outlines: bool
    faults: tuple[Fault, ...]


def load(path: str, split: str, size: int | None, channels: int | None) -> Lazy:
    """The images of a split with boxes and, where every thing has an outline, semantic labels and instances."""
    main = existing(path, "coco:")
    spec = f"coco:{path}"
    sibling = split_file(main, split)
    coco = read(sibling or main)
    stop_at_first(coco.faults, spec)
    images = list(coco.images)
    if sibling is None and split_file(main, "test") is None:
        test = held_out([str(image.file) for image in images], [0] * len(images))
        images = [image for place, image in enumerate(images) if (place in test) == (split != "train")]
    if sibling is not None and sibling != main and (other := read(main)).classes != coco.classes:
        raise ValueError(
            f"{sibling} has other categories than {main} ({len(coco.classes)}, {len(other.classes)}); use one list"
        )
    if not images:
        raise ValueError(f"{main}: the {split} split has no images; add some")
    facts = Facts(channels or 3, size or SIZE, coco.classes)
    return Lazy(facts, len(images), Reader(images, facts, coco.outlines).row, spec)


def split_file(path: Path, split: str) -> Path | None:
    """The json beside `path` that holds a split, by its name; None when there is none."""
    if split == "train" or "train" not in path.name:
        return None
    for word in ("val", "test") if split == "val" else ("test", "val"):
        other = path.with_name(path.name.replace("train", word))
        if other.is_file():
            return other
    return None


def read(path: Path) -> Coco:
    """The whole file, with all its faults; ValueError only when it is no COCO file at all."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a json file ({error}); export it again") from None
    if not isinstance(content, dict) or not all(
        isinstance(content.get(key), list) for key in ("images", "annotations", "categories")
    ):
        raise ValueError(f"{path} is not COCO's json; it must hold the lists images, annotations and categories")
    faults: list[Fault] = []
    names = _categories(content["categories"], path, faults)
    labels = {category: label for label, category in enumerate(names)}
    images = _images(content["images"], path, faults)
    things: dict[Any, list[tuple[float, Thing]]] = {key: [] for key in images}
    outlines = bool(content["annotations"]) and len(names) < VOID
    for place, annotation in enumerate(content["annotations"]):
        where = (
            f"{path}, annotation {annotation.get('id', f'number {place}') if isinstance(annotation, dict) else place}"
        )
        try:
            key, area, thing = _thing(annotation, labels, images)
        except Wrong as wrong:
            faults.append(Fault(wrong.kind, where, wrong.sentence, wrong.fix))
            continue
        things[key].append((area, thing))
        outlines = outlines and bool(thing.outline)
    records = tuple(
        # Large things first: what is small and inside lies on top. Crowds below all.
        Annotated(file, height, width, tuple(t for _, t in sorted(things[key], key=lambda t: (not t[1].ignore, -t[0]))))
        for key, (file, height, width) in images.items()
    )
    return Coco(tuple(names.values()), records, outlines, tuple(faults))


def _categories(found: list[Any], path: Path, faults: list[Fault]) -> dict[int, str]:
    """Category id -> name, by id."""
    names: dict[int, str] = {}
    for category in found:
        if isinstance(category, dict) and isinstance(category.get("id"), int) and isinstance(category.get("name"), str):
            names[category["id"]] = category["name"]
        else:
            faults.append(
                Fault("bad-annotation", str(path), f"the category {category!r} lacks id or name", "give it both")
            )
    return dict(sorted(names.items()))


def _images(found: list[Any], path: Path, faults: list[Fault]) -> dict[Any, tuple[Path, int, int]]:
    """Image id -> file, height, width."""
    images: dict[Any, tuple[Path, int, int]] = {}
    folder: Path | None = None
    for place, image in enumerate(found):
        where = f"{path}, image number {place}"
        match image:
            case {
                "id": int() | str() as key,
                "file_name": str() as name,
                "height": int() as height,
                "width": int() as width,
            }:
                pass
            case _:
                faults.append(
                    Fault("bad-annotation", where, "lacks id, file_name, height or width", "give it all four")
                )
                continue
        if key in images or min(height, width) < 1:
            sentence = f"its id {key} is taken" if key in images else f"its size is {width} x {height}"
            faults.append(Fault("bad-annotation", where, sentence, "export the file again"))
            continue
        folder = folder or image_folder(path, name)
        images[key] = (folder / name, height, width)
        if not (folder / name).is_file():
            faults.append(
                Fault("missing-image", str(folder / name), "the file does not exist", f"put it into {folder}")
            )
    return images


def image_folder(path: Path, name: str) -> Path:
    """The folder that the image `name` lies in: beside the json, in images/, or in a folder named like the json."""
    last = path.stem.split("_")[-1]
    near = [path.parent, path.parent.parent]
    candidates = [base / part for part in ("images", last, path.stem, ".") for base in near]
    return next((folder for folder in candidates if (folder / name).is_file()), path.parent / "images")


def _thing(
    annotation: Any, labels: dict[int, int], images: dict[Any, tuple[Path, int, int]]
) -> tuple[Any, float, Thing]:
    """(image id, area, thing) of one annotation."""
    if not isinstance(annotation, dict):
        raise Wrong("bad-annotation", f"is {annotation!r}, not a record", "export the file again")
    key, category, box = (annotation.get(name) for name in ("image_id", "category_id", "bbox"))
    if not isinstance(key, str | int) or key not in images:
        raise Wrong("bad-annotation", f"its image_id {key!r} is no image of the file", "remove it, or add the image")
    if not isinstance(category, int) or category not in labels:
        raise Wrong("unknown-category", f"its category_id {category!r} is none of the categories", "add the category")
    if not _numbers(box) or len(box) != 4:
        raise Wrong("bad-annotation", f"its bbox is {box!r}", "give x, y, width and height in pixels")
    x, y, width, height = box
    if width <= 0 or height <= 0:
        raise Wrong("empty-box", f"its box is {width} x {height} pixels; it is left out", "remove it")
    clipped = inside((x, y, x + width, y + height), *images[key][1:])
    if clipped is None:
        size = f"{images[key][2]} x {images[key][1]}"
        raise Wrong("box-outside", f"its box {box} leaves the image of {size} pixels", "clip it to the image")
    outline = annotation.get("segmentation") or None
    _check_outline(outline, *images[key][1:])
    area = annotation.get("area")
    thing = Thing(clipped, labels[category], bool(annotation.get("iscrowd", 0)), outline)
    return key, area if isinstance(area, int | float) else width * height, thing


def _check_outline(outline: Any, height: int, width: int) -> None:
    """Wrong when an outline is neither polygons nor run lengths of this image; compressed ones are tried when drawn."""
    if outline is None:
        return
    if isinstance(outline, dict):
        counts = outline.get("counts")
        if isinstance(counts, list) and not (all(isinstance(c, int) for c in counts) and sum(counts) == height * width):
            raise Wrong(
                "bad-annotation", f"its run lengths do not add up to {height * width} pixels", "export it again"
            )
        if not isinstance(counts, str | list):
            raise Wrong("bad-annotation", "its segmentation has no counts", "export it again")
        return
    for polygon in outline if isinstance(outline, list) else [None]:
        if not _numbers(polygon) or len(polygon) < 6 or len(polygon) % 2:
            raise Wrong("bad-annotation", "has a polygon of fewer than three corners", "remove the polygon")


def _numbers(values: Any) -> TypeGuard[list[float]]:
    """Whether this is a list of finite numbers."""
    return isinstance(values, list) and all(isinstance(v, int | float) and math.isfinite(v) for v in values)
