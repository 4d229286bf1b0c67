"""Render the glyph set: python -m engine.data.build_glyphs (needs matplotlib, which carries the DejaVu fonts).

Every letter, digit and currency sign that all twelve DejaVu faces can draw, each drawn so that its ink fills a square.
Two traps are removed. A face draws the same box ("tofu") for every character it lacks: what equals the picture of
U+FFFF is dropped. Many characters look alike (Latin A, Greek Alpha, Cyrillic A; c and C once they fill the same
square): they become one class, for no method could tell them apart. Accented letters are left out, being their base
letter but for a pixel or two.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from engine.assets import ROOT, Asset, record

FACES = tuple(
    f"DejaVu{family}{style}"
    for family, slant in (("Sans", "Oblique"), ("SansMono", "Oblique"), ("Serif", "Italic"))
    for style in ("", "-Bold", f"-{slant}", f"-Bold{slant}")
)
SIDE, INK = 28, 22
"""Side of a tile and of the square that the ink fills, in pixels."""

ALIKE = 0.9
"""Two characters are one class when their pictures correlate this much in half of the faces."""

DISTINCT = 8
"""A class needs this many faces whose pictures differ (correlation below 0.995)."""

SCRIPTS = ("DIGIT", "LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN")
"""The order of classes; of characters that look alike the first in this order names the class."""


def candidates() -> list[str]:
    """Letters, digits and currency signs without a decomposition, below the ideographs, in class order."""
    kinds = {"Lu", "Ll", "Lo", "Nd", "Sc"}
    found = [chr(code) for code in range(33, 0x2C80) if unicodedata.category(chr(code)) in kinds]
    return sorted((c for c in found if not unicodedata.decomposition(c)), key=_place)


def _place(character: str) -> tuple[bool, int, bool, int]:
    script = unicodedata.name(character).split()[0]
    place = SCRIPTS.index(script) if script in SCRIPTS else len(SCRIPTS)
    return ord(character) > 126, place, unicodedata.category(character) != "Lu", ord(character)


def draw(font: ImageFont.FreeTypeFont, character: str) -> Image.Image | None:
    """The character's ink, white on black, cropped to its bounds; None when it has none."""
    canvas = Image.new("L", (256, 256))
    ImageDraw.Draw(canvas).text((64, 48), character, fill=255, font=font)
    bounds = canvas.getbbox()
    return canvas.crop(bounds) if bounds else None


def tile(ink: Image.Image) -> np.ndarray:
    """(SIDE, SIDE) uint8: the ink reduced to fill INK x INK pixels, its proportions kept, in the middle."""
    scale = INK / max(ink.size)
    small = ink.resize([max(1, round(scale * length)) for length in ink.size], Image.Resampling.BOX)
    picture = Image.new("L", (SIDE, SIDE))
    picture.paste(small, ((SIDE - small.width) // 2, (SIDE - small.height) // 2))
    return np.asarray(picture)


def stretched(ink: Image.Image) -> np.ndarray:
    """(12, 12) uint8: the ink without its proportions, to compare shapes of different width."""
    return np.asarray(ink.resize((12, 12), Image.Resampling.BILINEAR))


def unit(pictures: np.ndarray) -> np.ndarray:
    """(N, F, H, W) -> (N, F, H W) rows of mean 0 and length 1, whose products are correlations."""
    rows = pictures.reshape(*pictures.shape[:2], -1).astype(np.float32)
    rows -= rows.mean(-1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True).clip(1e-6)


def likeness(pictures: np.ndarray) -> np.ndarray:
    """(N, F, H, W) -> (N, N): correlation of two characters in the same face, the median over the faces."""
    rows = unit(pictures)
    return np.median([rows[:, face] @ rows[:, face].T for face in range(rows.shape[1])], axis=0)


def groups(alike: np.ndarray) -> list[list[int]]:
    """Characters in order: each joins the class whose first member it is most like (>= ALIKE), or begins one."""
    classes: list[list[int]] = []
    for i in range(len(alike)):
        near = [alike[i, members[0]] for members in classes]
        if near and max(near) >= ALIKE:
            classes[int(np.argmax(near))].append(i)
        else:
            classes.append([i])
    return classes


def distinct(rows: np.ndarray) -> int:
    """How many of the faces (F, D) draw a character differently from all before them."""
    return int((np.tril(rows @ rows.T, -1).max(1) < 0.995).sum())


def render(folder: Path) -> tuple[list[str], np.ndarray]:
    """The classes (a string each: the character that names it, then those that look like it) and (K, F, SIDE, SIDE)."""
    fonts = [ImageFont.truetype(str(folder / f"{face}.ttf"), 88) for face in FACES]
    tofu = [draw(font, "\uffff") for font in fonts]
    names, pictures, shapes = [], [], []
    for character in candidates():
        inks = [draw(font, character) for font in fonts]
        drawn = [
            ink for ink, box in zip(inks, tofu, strict=True) if ink and (not box or ink.tobytes() != box.tobytes())
        ]
        if len(drawn) == len(fonts):
            names.append(character)
            pictures.append([tile(ink) for ink in drawn])
            shapes.append([stretched(ink) for ink in drawn])
    images = np.array(pictures)
    alike = np.maximum(likeness(images), likeness(np.array(shapes)))
    rows = unit(images)
    kept = [members for members in groups(alike) if distinct(rows[members[0]]) >= DISTINCT]
    return ["".join(names[i] for i in members) for members in kept], images[[members[0] for members in kept]]


def main() -> None:
    try:
        import matplotlib
    except ImportError:
        sys.exit("build_glyphs: matplotlib, which carries the fonts, is missing; pip install matplotlib")
    names, images = render(Path(matplotlib.get_data_path()) / "fonts" / "ttf")
    target = ROOT / "glyphs"
    target.mkdir(exist_ok=True)
    sheet = images.transpose(0, 2, 1, 3).reshape(len(names) * SIDE, len(FACES) * SIDE)
    Image.fromarray(sheet).save(target / "dejavu.png", optimize=True)
    (target / "dejavu.json").write_text(json.dumps(names, ensure_ascii=False, indent=0) + "\n", "utf-8")
    source, credit = (
        "rendered from the DejaVu fonts 2.37",
        "(c) Bitstream, (c) Tavmjong Bah; DejaVu changes public domain",
    )
    note = f"{len(names)} rows of {len(FACES)} tiles of {SIDE}x{SIDE}; one row a class, one column a face"
    record(
        [
            Asset("glyphs/dejavu.png", source, "Bitstream Vera and Arev licences", credit, note),
            Asset("glyphs/dejavu.json", source, "Apache-2.0", note="the characters of each class"),
        ]
    )
    print(f"{len(names)} classes x {len(FACES)} faces")


if __name__ == "__main__":
    main()
