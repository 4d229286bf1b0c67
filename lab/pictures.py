"""Image kinds of exhibits drawn with numpy and Pillow alone, so that any of these functions can be handed out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT = str(Path(__file__).resolve().parent.parent / "assets" / "fonts" / "IBMPlexSans-Regular.ttf")
COLOURS = (
    "#1f8a9c", "#d1603d", "#c79a1b", "#9561b5", "#55963f", "#4a7fc1", "#c25a88", "#8d9c33", "#3aa894", "#a8714e",
    "#7d8892", "#e08fb0", "#6f6bd1", "#b0453f", "#4f8f79", "#b58fd9",
)  # fmt: skip
"""Colours of labels, in order, legible on light and dark paper; they repeat after sixteen."""
HEAT = ((0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21), (250, 193, 39),
        (252, 255, 164))  # fmt: skip
"""A colour map from low to high, even in lightness."""
MOST = 32
"""Images of one name that are drawn."""

Columns = dict[str, list[Image.Image]]
Legend = list[tuple[tuple[int, int, int], str]]


def colour(number: int) -> tuple[int, int, int]:
    """The colour of label `number`."""
    code = COLOURS[number % len(COLOURS)]
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def words(name: str) -> str:
    """A reported name as a visitor reads it."""
    return name.replace("_", " ").replace("/", " · ")


def text_font(size: int) -> Any:
    """The lab's font; Pillow's own where that file is not at hand."""
    try:
        return ImageFont.truetype(FONT, size)
    except OSError:
        return ImageFont.load_default(size)


def rgb(picture: np.ndarray) -> np.ndarray:
    """(C, H, W) uint8, or float in [0, 1], with one or three channels, as (H, W, 3) uint8."""
    if picture.dtype != np.uint8:
        picture = (np.nan_to_num(picture).clip(0, 1) * 255).round().astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(picture, (3, *picture.shape[1:])).transpose(1, 2, 0))


def tile(pixels: np.ndarray, cell: int) -> Image.Image:
    """(H, W, 3) as an image `cell` wide: small pictures keep their pixels, large ones are averaged."""
    height, width = pixels.shape[:2]
    how = Image.Resampling.NEAREST if width * 2 <= cell else Image.Resampling.LANCZOS
    return Image.fromarray(pixels).resize((cell, max(1, round(cell * height / width))), how)


def beside(columns: int, count: int) -> int:
    """How many images stand side by side when each takes this many columns."""
    return max(1, min(count, 8 // columns))


def cell_size(columns: int, count: int) -> int:
    """The width of a tile, such that a page shows most of the whole."""
    groups = beside(columns, count)
    return max(96, min(360, 1280 // (columns * groups), 900 * groups // count))


def pictures(names: Sequence[str], values: Mapping[str, Any], cell: int = 0) -> tuple[Columns, Legend]:
    """Columns of plain pictures. cell: the width of a tile in pixels, here and below; 0: what suits a page."""
    cell = cell or cell_size(len(names), len(values[names[0]]))
    return {name: [tile(rgb(picture), cell) for picture in values[name][:MOST]] for name in names}, []


def captioned(names: Sequence[str], values: Mapping[str, Any], under: Sequence[str], dark: bool = False) -> Image.Image:
    """The pictures of the first name, below each what `under` names: words, and numbers in [0, 1] as bars."""
    ink, paper, bar = ("#f0ede6", "#151514", "#3aa2b4") if dark else ("#1d1c1a", "#fbfaf7", "#1f8a9c")
    shown = values[names[0]][:MOST]
    across = 1 if len(shown) == 1 else 4 if len(shown) <= 12 else 8
    cell = {1: 300, 4: 240, 8: 168}[across]
    tiles, face, line = [tile(rgb(picture), cell) for picture in shown], text_font(15), 20
    below = [_caption([values[name][i] for name in under if name in values], face, cell) for i in range(len(shown))]
    high = tiles[0].height + max(line * len(lines) + 12 * len(bars) for lines, bars in below) + 18
    sheet = Image.new("RGB", (across * (cell + 14) - 14, -(-len(shown) // across) * high), paper)
    pen = ImageDraw.Draw(sheet)
    for i, (image, (lines, bars)) in enumerate(zip(tiles, below, strict=True)):
        left, top = i % across * (cell + 14), i // across * high
        sheet.paste(image, (left, top))
        top += image.height + 4
        for share in bars:
            pen.rectangle([left, top, left + cell - 1, top + 6], outline=ink)
            pen.rectangle([left, top, left + round(share * (cell - 1)), top + 6], fill=bar)
            top += 12
        for says in lines:
            pen.text((left, top), says, fill=ink, font=face)
            top += line
    return sheet


def _caption(items: Sequence[Any], face: Any, width: int) -> tuple[list[str], list[float]]:
    """What stands under a picture: lines no wider than `width`, and the lengths of bars."""
    lines: list[str] = []
    for item in items:
        if isinstance(item, str):
            lines.append("")
            for word in item.split():
                longer = f"{lines[-1]} {word}".strip()
                if face.getlength(longer) <= width or not lines[-1]:
                    lines[-1] = longer
                else:
                    lines.append(word)
    return lines, [float(item) for item in items if not isinstance(item, str)]


def heat(level: np.ndarray) -> np.ndarray:
    """Levels in [0, 1] as colours (..., 3) uint8."""
    at = np.linspace(0, 1, len(HEAT))
    return np.stack([np.interp(level, at, [point[i] for point in HEAT]) for i in range(3)], -1).astype(np.uint8)


def overlay(names: Sequence[str], values: Mapping[str, Any], cell: int = 0) -> tuple[Columns, Legend]:
    """The pictures, then each heat map over them in grey, all maps on one scale."""
    first, *maps = names
    cell = cell or cell_size(len(names), len(values[first]))
    levels = {name: np.asarray(values[name], np.float32) for name in maps}
    low = min(float(np.nanmin(level)) for level in levels.values())
    high = max(float(np.nanmax(level)) for level in levels.values())
    columns: Columns = {first: [tile(rgb(picture), cell) for picture in values[first][:MOST]]}
    for name in maps:
        columns[name] = []
        for picture, level in zip(values[first][:MOST], levels[name], strict=False):
            over = Image.fromarray(heat((level - low) / max(high - low, 1e-12)))
            under = rgb(picture).mean(-1, keepdims=True)
            over = over.resize(under.shape[1::-1], Image.Resampling.BILINEAR)
            columns[name].append(tile((0.35 * under + 0.65 * np.asarray(over)).astype(np.uint8), cell))
    least = 0.0 if abs(low) < 1e-3 * (high - low) else low
    ends = ((0.0, least), (0.5, (low + high) / 2), (1.0, high))
    return columns, [(tuple(heat(np.asarray(at)).tolist()), f"{value:.3g}") for at, value in ends]


def boxes(names: Sequence[str], values: Mapping[str, Any], cell: int = 0) -> tuple[Columns, Legend]:
    """One column for each set of boxes, drawn on the pictures with class and score; one of no class, -1, is grey."""
    first, *sets = names
    cell = cell or cell_size(len(sets), len(values[first]))
    classes, face = values.get("classes", ()), text_font(max(12, cell // 18))
    columns: Columns = {}
    for name in sets:
        columns[name] = []
        for picture, rows in zip(values[first][:MOST], np.asarray(values[name]), strict=False):
            image = tile(rgb(picture), cell)
            scale, pen = cell / picture.shape[-1], ImageDraw.Draw(image)
            for x1, y1, x2, y2, label, score in rows[~np.isnan(rows).any(-1)].tolist():
                ink, left, top = colour(int(label)) if label >= 0 else (150, 150, 150), x1 * scale, y1 * scale
                pen.rectangle([left, top, x2 * scale, y2 * scale], outline=ink, width=max(2, cell // 120))
                if label < 0:
                    continue
                says = classes[int(label)] if int(label) < len(classes) else str(int(label))
                says += "" if score >= 1 else f" {score:.2f}"
                pen.rectangle(pen.textbbox((left + 2, top), says, font=face), fill=ink, outline=ink, width=2)
                pen.text((left + 2, top), says, fill="white", font=face)
            columns[name].append(image)
    return columns, []


def masks(names: Sequence[str], values: Mapping[str, Any], cell: int = 0) -> tuple[Columns, Legend]:
    """The pictures, then one column for each set of label maps, drawn over them; void is grey."""
    first, *sets = names
    cell, classes, there = cell or cell_size(len(names), len(values[first])), values.get("classes", ()), set()
    columns: Columns = {first: [tile(rgb(picture), cell) for picture in values[first][:MOST]]}
    for name in sets:
        columns[name] = []
        for picture, labels in zip(values[first][:MOST], np.asarray(values[name]).astype(int), strict=False):
            pixels = rgb(picture).astype(np.float32)
            for label in np.unique(labels[labels > 0]).tolist():
                ink = np.asarray((128, 128, 128) if label == 255 else colour(label - 1))
                pixels[labels == label] = 0.4 * pixels[labels == label] + 0.6 * ink
                there.add(label)
            columns[name].append(tile(pixels.astype(np.uint8), cell))
    return columns, [(colour(label - 1), classes[label - 1]) for label in sorted(there) if label <= len(classes)]


def reel(names: Sequence[str], values: Mapping[str, Any], dark: bool = False) -> list[Image.Image]:
    """The frames of a film, the films side by side."""
    cell = cell_size(len(names), 1)
    shots = zip(*(values[name] for name in names), strict=False)
    return [mosaic({name: [tile(rgb(frame), cell)] for name, frame in zip(names, shot, strict=True)}, [], dark)
            for shot in shots]  # fmt: skip


def strip(frames: Sequence[Image.Image], dark: bool = False) -> Image.Image:
    """Eight frames of a film, evenly spread, as one picture."""
    chosen = np.linspace(0, len(frames) - 1, min(8, len(frames))).round().astype(int).tolist()
    return mosaic({"frames": [frames[i].resize((160, 160 * frames[i].height // frames[i].width)) for i in chosen]},
                  [], dark)  # fmt: skip


def mosaic(columns: Columns, legend: Legend, dark: bool = False) -> Image.Image:
    """One row an image, one column a name, the names above, a legend below; few columns repeat side by side."""
    ink, paper, face = ("#f0ede6", "#151514", text_font(19)) if dark else ("#1d1c1a", "#fbfaf7", text_font(19))
    width, height = next(iter(columns.values()))[0].size
    count, gap, between = max(len(column) for column in columns.values()), 6, 6 if len(columns) == 1 else 30
    groups = beside(len(columns), count)
    block, head = len(columns) * (width + gap) - gap + between, 34 if len(columns) > 1 else 0
    right, bottom = groups * block - between, head + -(-count // groups) * (height + gap) - gap
    places = flow([50 + int(face.getlength(says)) for _, says in legend], right, bottom + 12)
    sheet = Image.new("RGB", (right, places[-1][1] + 30 if places else bottom), paper)
    pen = ImageDraw.Draw(sheet)
    for c, (name, column) in enumerate(columns.items()):
        for i, image in enumerate(column):
            across, down = i % groups, i // groups
            sheet.paste(image, (across * block + c * (width + gap), head + down * (height + gap)))
            if head and down == 0:
                pen.text((across * block + c * (width + gap), 2), words(name), fill=ink, font=face)
    for (swatch, says), (x, y) in zip(legend, places, strict=True):
        pen.rectangle([x, y + 4, x + 18, y + 22], fill=swatch)
        pen.text((x + 26, y), says, fill=ink, font=face)
    return sheet


def ribbon(columns: Columns, paper: str = "black") -> Image.Image:
    """All images under one another, each in all its columns, without gaps or words: to be cut where it is shown.

    paper: what is seen beside one that is less high than the first.
    """
    rows = list(zip(*columns.values(), strict=False))
    width, height = rows[0][0].size
    sheet = Image.new("RGB", (width * len(columns), height * len(rows)), paper)
    for down, row in enumerate(rows):
        for across, image in enumerate(row):
            sheet.paste(image, (across * width, down * height))
    return sheet


def stack(images: Sequence[Image.Image], dark: bool = False, gap: int = 18) -> Image.Image:
    """Pictures under one another."""
    size = max(image.width for image in images), sum(image.height + gap for image in images) - gap
    sheet, top = Image.new("RGB", size, "#151514" if dark else "#fbfaf7"), 0
    for image in images:
        sheet.paste(image, (0, top))
        top += image.height + gap
    return sheet


def flow(widths: Sequence[int], right: int, top: int) -> list[tuple[int, int]]:
    """Places (x, y) of items of these widths in lines of 30 pixels, broken at `right`."""
    places, x, y = [], 0, top
    for width in widths:
        if x and x + width > right:
            x, y = 0, y + 30
        places.append((x, y))
        x += width
    return places
