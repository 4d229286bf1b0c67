"""Checks images with annotations: COCO's json, VOC's xml, label maps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from engine.data import coco, masks, voc
from engine.data.annotated import Annotated, Reader
from engine.data.base import VOID, Facts
from engine.data.check_folder import seen_faults, strays
from engine.data.decode import ImageError, decode_labels
from engine.data.faults import Fault, told
from engine.data.lazy import parallel
from engine.data.paths import split_folders
from engine.data.scan import Look, looks


def check_coco(path: Path) -> list[Fault]:
    """A COCO file, and those of its other splits beside it."""
    files = {"train": path}
    for split in ("val", "test"):
        other = coco.split_file(path, split)
        if other and other not in files.values():
            files[split] = other
    faults: list[Fault] = []
    seen: dict[str, list[Look]] = {}
    for split, file in files.items():
        try:
            found = coco.read(file)
        except (ValueError, OSError) as error:
            faults.append(Fault("missing", str(file), str(error), "export it again"))
            continue
        faults += found.faults
        seen[split] = looks([image.file for image in found.images if image.file.is_file()])
        faults += image_sizes(found.images, seen[split])
        if found.outlines:
            reader = Reader(found.images, Facts(3, 8), outlines=True)
            real = {each.path: each.size for each in seen[split]}
            good = [image for image in found.images if real.get(image.file) == (image.width, image.height)]
            faults += [fault for fault in parallel(partial(outline_fault, reader), good) if fault]
    return faults + seen_faults(seen, path)


def check_voc(root: Path) -> list[Fault]:
    """A VOC folder."""
    records, faults = voc.read(root)
    stems = {record.file.stem for record in records}
    for file in sorted((root / "ImageSets" / "Main").glob("*.txt")):
        listed = {line.split()[0] for line in file.read_text("utf-8", "replace").splitlines() if line.strip()}
        faults += [
            Fault("missing-image", str(file), f"lists {name}, which has no image or no good xml", "remove the line")
            for name in sorted(listed - stems)
        ]
    seen = looks([record.file for record in records])
    images = [Annotated(record.file, record.height, record.width, ()) for record in records]
    return faults + image_sizes(images, seen) + seen_faults({"all": seen}, root)


def check_masks(root: Path) -> list[Fault]:
    """Images with label maps."""
    if not root.is_dir():
        return [Fault("missing", str(root), "is a file", "give the folder that holds images/ and masks/")]
    faults = strays(root / masks.IMAGES[0]) if (root / masks.IMAGES[0]).is_dir() else []
    seen: dict[str, list[Look]] = {}
    names, used = masks.listed_names(root), set[int]()
    for split, folder in (split_folders(root) or {"all": root}).items():
        pairs, unpaired = masks.paired(folder)
        seen[split] = looks([image for image, _ in pairs])
        faults += unpaired
        found = parallel(mask_numbers, [mask for _, mask in pairs])
        for (_, mask), look, (numbers, size, fault) in zip(pairs, seen[split], found, strict=True):
            used |= numbers
            faults += [fault] if fault else []
            if strange := sorted(number for number in numbers if names and len(names) < number != VOID):
                sentence = f"holds the numbers {strange[:5]}, but classes.txt names {len(names)} classes"
                faults.append(Fault("unknown-label", str(mask), sentence, "add the names, or correct the mask"))
            if not fault and min(look.size) and size != look.size:
                sentence = f"has {size[0]} x {size[1]} pixels, its image {look.size[0]} x {look.size[1]}"
                faults.append(Fault("mask-size", str(mask), sentence, "save both at one size"))
    if used - {0} == {VOID} and not names:
        sentence = "the masks hold 0 and 255 only; 255 usually means void, here it is taken for the object"
        faults.append(Fault("binary-mask", str(root), sentence, "write 1 for the object, or leave it so"))
    return faults + seen_faults(seen, root)


def mask_numbers(mask: Path) -> tuple[set[int], tuple[int, int], Fault | None]:
    """The numbers in a mask, its width and height, and why it cannot be read."""
    try:
        labels = decode_labels(mask)
    except ImageError as error:
        return set(), (0, 0), told("unreadable", str(mask), error.cause)
    return set(labels.unique().tolist()), (labels.shape[1], labels.shape[0]), None


def image_sizes(images: Sequence[Annotated], seen: Sequence[Look]) -> list[Fault]:
    """Images of another size than their annotations say."""
    real = {each.path: each.size for each in seen}
    faults = []
    for image in images:
        width, height = real.get(image.file, (0, 0))
        if min(width, height) and (width, height) != (image.width, image.height):
            sentence = f"has {width} x {height} pixels upright, its annotations say {image.width} x {image.height}"
            faults.append(Fault("image-size", str(image.file), sentence, "use the version that was annotated"))
    return faults


def outline_fault(reader: Reader, image: Annotated) -> Fault | None:
    """Why an image's outlines cannot be drawn."""
    try:
        reader.maps(image)
    except ImageError as error:
        return told("bad-annotation", str(image.file), f"{error.cause}; export the annotations again")
    return None
