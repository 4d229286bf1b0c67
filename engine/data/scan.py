"""One look at each picture file: can it be read, is there anything unusual about it, and is it there twice."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from engine.data.decode import BROKEN, ImageError, channels, opened, orientation, pixels, resize
from engine.data.faults import Fault, Kind, told
from engine.data.lazy import parallel

THUMB = 16
"""Side of the grey thumbnails that are compared."""

ALIKE = 0.995
"""Correlation of thumbnails from which on two pictures count as one: a photograph saved again at 0.7 of its size with
JPEG quality 60 has more, different photographs and cutouts at most 0.98."""

UNUSUAL: dict[Kind, tuple[str, str]] = {
    "cmyk": ("is a CMYK picture for print; its colours change when it is shown", "save it as RGB"),
    "16-bit": ("has 16 bits a channel; they are divided by 257, so 12-bit data look black", "save it with 8 bits"),
    "exif-rotated": ("is stored turned, with EXIF data to turn it back; programs that ignore them see it on its side",
                     "save it upright"),
    "alpha": ("has transparent parts; they are shown white", "save it without transparency"),
    "animated": ("is animated; only the first picture is used", "save that picture alone"),
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What is known of a file.

    size: width and height when upright, (0, 0) when it cannot be read. digest: of its bytes.
    thumb: (THUMB * THUMB,) with mean 0 and length 1, or all 0 when the picture is flat or cannot be read.
    """

    path: Path
    faults: tuple[Fault, ...]
    size: tuple[int, int]
    digest: bytes
    thumb: Tensor


def looks(paths: Sequence[Path]) -> list[Look]:
    """A look at each file, by a pool of threads."""
    return parallel(look, paths)


def look(path: Path) -> Look:
    """Reads the file once and decodes it at a small size; never raises."""
    try:
        data = path.read_bytes()
    except OSError:
        data = b""
    blank = torch.zeros(THUMB * THUMB)
    digest = hashlib.sha256(data).digest()
    try:
        with opened(data if data else path, str(path)) as image:
            found = unusual(image)  # before anything reads the pixels, and with them how they are stored
            size = image.size if orientation(image) < 5 else image.size[::-1]
            image.draft(None, (4 * THUMB, 4 * THUMB))
            small = pixels(image)
    except ImageError as error:
        empty = not data and path.is_file()
        fault = told("zero-byte" if empty else "unreadable", str(path), error.cause)
        return Look(path, (fault,), (0, 0), digest, blank)
    thumb = resize(channels(small, 1), THUMB, THUMB).flatten().float()
    thumb -= thumb.mean()
    length = thumb.norm()
    faults = tuple(Fault(kind, str(path), *UNUSUAL[kind]) for kind in found)
    return Look(path, faults, size, digest, thumb / length if length > THUMB else blank)


def unusual(image: Image.Image) -> list[Kind]:
    """What is unusual about an image that has been opened but not read."""
    found: list[Kind] = []
    if image.mode == "CMYK":
        found.append("cmyk")
    if image.mode.startswith("I;16") or any("16" in str(tile[3]) for tile in getattr(image, "tile", ())):
        found.append("16-bit")
    if orientation(image) != 1:
        found.append("exif-rotated")
    if image.has_transparency_data:
        found.append("alpha")
    try:
        animated = getattr(image, "is_animated", False) and image.format != "MPO"
    except BROKEN:
        animated = False
    return [*found, "animated"] if animated else found


def sizes(seen: Sequence[Look], where: str) -> list[Fault]:
    """A fault when the largest picture is four times as large as the smallest, or more."""
    readable = [each for each in seen if min(each.size) > 0]
    if not readable:
        return []
    small, large = (pick(readable, key=lambda each: min(each.size)) for pick in (min, max))
    if min(large.size) < 4 * min(small.size):
        return []
    said = " and ".join(f"{each.size[0]} x {each.size[1]} ({each.path.name})" for each in (small, large))
    fix = "leave out what is much smaller than the size you train at"
    return [Fault("mixed-sizes", where, f"sizes differ much: {said}; small ones become blurred", fix)]


def duplicates(groups: Mapping[str, Sequence[Look]]) -> list[Fault]:
    """Pictures of one group that another has too; with a single group, pictures that it has twice.

    groups: split name -> its files. The first is the training split, to which the others are compared.
    """
    if not groups:
        return []
    first, *others = groups.values()
    same = not others
    later = list(first) if same else [each for group in others for each in group]
    by_digest: dict[bytes, Path] = {}
    for each in first:
        if min(each.size):
            by_digest.setdefault(each.digest, each.path)
    faults, rest = [], []
    for place, each in enumerate(later):
        twin = by_digest.get(each.digest)
        if twin is None or twin == each.path:
            rest.append(place)
        else:
            faults.append(_twice("duplicate", each.path, twin, same))
    return faults + _near(
        [each for each in first if by_digest.get(each.digest) == each.path], [later[p] for p in rest], same
    )


def _near(first: Sequence[Look], later: Sequence[Look], same: bool) -> list[Fault]:
    """Pictures of `later` that look like one of `first` (before them in the list, when both are the same list)."""
    if not first or not later:
        return []
    thumbs = torch.stack([each.thumb for each in first])
    faults = []
    for start in range(0, len(later), 1024):
        rows = later[start : start + 1024]
        alike = torch.stack([each.thumb for each in rows]) @ thumbs.T
        if same:
            alike = alike.tril(start - 1)
        best = alike.max(1)
        for row in (best.values > ALIKE).nonzero().flatten().tolist():
            faults.append(_twice("near-duplicate", rows[row].path, first[int(best.indices[row])].path, same))
    return faults


def _twice(kind: Kind, path: Path, twin: Path, same: bool) -> Fault:
    says = "is the same picture as" if kind == "duplicate" else "looks just like"
    cost = "" if same else ", which is trained on: test figures are too good"
    return Fault(kind, str(path), f"{says} {twin}{cost}", "delete one of the two")
