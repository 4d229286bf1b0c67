"""Pascal VOC's xml: one file an image with its boxes (Everingham et al., VOC development kit).

`voc:VOCdevkit/VOC2007` reads Annotations/*.xml and JPEGImages/; so does a folder that holds xml files beside their
images. Splits are ImageSets/Main/train.txt, val.txt and test.txt, or else a fifth of the images is held out. In this
format corners count from 1 and are both inclusive: x1 = xmin - 1, x2 = xmax. Difficult things are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from engine.data.annotated import Annotated, Reader, Thing, inside
from engine.data.base import Facts
from engine.data.decode import SUFFIXES
from engine.data.faults import Fault, stop_at_first
from engine.data.lazy import Lazy, parallel
from engine.data.paths import existing, held_out

SIZE = 224

NAMES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""VOC's twenty names in VOC's order; sets with other names have theirs in the order of the alphabet."""


@dataclass(frozen=True)
class Named:
    """One image as its xml tells it: file, height, width, and (name, box, difficult) of each thing."""

    file: Path
    height: int
    width: int
    things: tuple[tuple[str, tuple[float, float, float, float], bool], ...]


def load(path: str, split: str, size: int | None, channels: int | None) -> Lazy:
    """The images of a split with their boxes."""
    root = existing(path, "voc:")
    spec = f"voc:{path}"
    listed = members(root, split)
    # Classes come from every xml, so that each split numbers them alike.
    records, faults = read(root)
    stop_at_first(faults, spec)
    classes = class_names(records)
    label = {name: place for place, name in enumerate(classes)}
    if listed is not None:
        records = [record for record in records if record.file.stem in listed]
    else:
        test = held_out([record.file.name for record in records], [0] * len(records))
        records = [record for place, record in enumerate(records) if (place in test) == (split != "train")]
    if not records:
        raise ValueError(f"{root}: the {split} split has no images; see ImageSets/Main, or add some")
    images = [
        Annotated(r.file, r.height, r.width, tuple(Thing(box, label[name], hard) for name, box, hard in r.things))
        for r in records
    ]
    facts = Facts(channels or 3, size or SIZE, classes)
    return Lazy(facts, len(images), Reader(images, facts, outlines=False).row, spec)


def members(root: Path, split: str) -> set[str] | None:
    """The names in a split's list; None where the set has no lists."""
    folder = root / "ImageSets" / "Main"
    if not (folder / "train.txt").is_file():
        return None
    for word in {"train": ["train"], "val": ["val", "test"], "test": ["test", "val"]}[split]:
        if (folder / f"{word}.txt").is_file():
            return {
                line.split()[0] for line in (folder / f"{word}.txt").read_text("utf-8").splitlines() if line.strip()
            }
    raise ValueError(f"{folder} has no list for the {split} split; add {split}.txt")


def class_names(records: list[Named]) -> tuple[str, ...]:
    """VOC's own names where no other occurs, else the names that occur, sorted."""
    found = {name for record in records for name, _, _ in record.things}
    return NAMES if found <= set(NAMES) else tuple(sorted(found))


def read(root: Path) -> tuple[list[Named], list[Fault]]:
    """Every xml file under the set, in the order of names, and the faults met on the way."""
    folder = root / "Annotations" if (root / "Annotations").is_dir() else root
    files = sorted(folder.glob("*.xml"))
    if not files:
        return [], [Fault("missing", str(folder), "holds no xml files", "give the folder that holds Annotations")]
    records: list[Named] = []
    faults: list[Fault] = []
    for record, found in parallel(_read_one, files):
        records += [record] if record else []
        faults += found
    return records, faults


def _read_one(path: Path) -> tuple[Named | None, list[Fault]]:
    try:
        tree = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError, ValueError) as error:
        return None, [Fault("bad-annotation", str(path), f"is not xml ({error})", "export it again")]
    width, height = (_number(tree, f"size/{side}") for side in ("width", "height"))
    if not width or not height or min(width, height) < 1:
        return None, [Fault("bad-annotation", str(path), "lacks the size of its image", "export it again")]
    image = _image(path, tree.findtext("filename") or "")
    if image is None:
        return None, [Fault("missing-image", str(path), "its image does not exist", "put it into JPEGImages")]
    things, faults = [], []
    for place, thing in enumerate(tree.iter("object"), 1):
        where = f"{path}, object {place}"
        name = (thing.findtext("name") or "").strip()
        corners = [_number(thing, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
        if not name or None in corners:
            faults.append(Fault("bad-annotation", where, "lacks its name or a corner", "export it again"))
            continue
        x1, y1, x2, y2 = (corner or 0.0 for corner in corners)
        box = inside((x1 - 1, y1 - 1, x2, y2), int(height), int(width))
        if x2 < x1 or y2 < y1:
            faults.append(Fault("empty-box", where, f"its box {corners} is empty; it is left out", "remove it"))
        elif box is None:
            size = f"{width:.0f} x {height:.0f}"
            faults.append(
                Fault("box-outside", where, f"its box {corners} leaves the image of {size} pixels", "clip it")
            )
        else:
            things.append((name, box, (thing.findtext("difficult") or "0").strip() == "1"))
    return Named(image, int(height), int(width), tuple(things)), faults


def _number(tree: ElementTree.Element, name: str) -> float | None:
    try:
        return float(tree.findtext(name) or "")
    except ValueError:
        return None


def _image(path: Path, name: str) -> Path | None:
    """The image of an xml: by the name it gives, or by its own; in JPEGImages, images, or beside it."""
    folders = [path.parent.parent / "JPEGImages", path.parent.parent / "images", path.parent]
    names = [Path(name).name, *(path.stem + suffix for suffix in SUFFIXES)]
    return next((folder / each for folder in folders for each in names if each and (folder / each).is_file()), None)
