"""Exhibit and values to figures: one `match` over the closed kinds. The page shows figures, `draw_png` files them."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from engine.assets import ROOT
from engine.method import (
    Bars,
    Boxes,
    Curves,
    Exhibit,
    Film,
    Graph,
    Histogram,
    Masks,
    Matrix,
    Overlay,
    Pictures,
    Scatter,
    Table,
)
from lab import light_plots, matrix_plots, pictures, plots
from lab.pictures import words
from lab.plots import Plot


@dataclass(frozen=True)
class Reel:
    """Frames of a film, in order."""

    frames: tuple[Image.Image, ...]


@dataclass(frozen=True)
class Sheet:
    """A table: column -> values, all of one length."""

    columns: dict[str, list[Any]]


Figure = Image.Image | Plot | Reel | Sheet
DRAWN = {Pictures: pictures.pictures, Overlay: pictures.overlay, Boxes: pictures.boxes, Masks: pictures.masks}
PICTURES = tuple(DRAWN)
"""The kinds that are drawn as one picture, and what draws their tiles."""
SMALL = 96
"""Pixels: pictures less wide are sent as they are, for the browser to enlarge."""
POINTED = (Scatter, Graph, Film)
"""The kinds that one points at or plays: they need more than a still drawing."""


def draw(exhibit: Exhibit, values: Mapping[str, Any], dark: bool = False) -> list[Figure]:
    """The figures of an exhibit. ValueError when a name it shows was not reported."""
    if absent := [name for name in exhibit.names if name not in values]:
        raise ValueError(
            f"nothing was reported under {', '.join(absent)}; there are {', '.join(values) or 'no values'}"
        )
    names = exhibit.names
    match exhibit:
        case Pictures(under=under) if under:
            return [pictures.captioned(names, values, under, dark)]
        case Pictures() | Overlay() | Boxes() | Masks():
            return [pictures.mosaic(*DRAWN[type(exhibit)](names, values), dark)]
        case Film():
            return [Reel(tuple(pictures.reel(names, values, dark)))]
        case Curves():
            return [plots.curves(names, values, exhibit.over, exhibit.mark)]
        case Matrix():
            return [matrix_plots.matrix(name, values, names) for name in names]
        case Scatter():
            return [plots.scatter(names, values, exhibit.axes)]
        case Bars():
            return [plots.bars(names, values)]
        case Histogram():
            return [plots.histogram(names, values)]
        case Graph():
            return [plots.graph(names, values)]
        case Table():
            return [Sheet({words(name): [plain(value) for value in values[name]] for name in names})]
    raise TypeError(f"{type(exhibit).__name__} is no kind of exhibit; see engine/method.py")


def plain(value: Any) -> Any:
    """A table's cell as a Python value, numbers to four digits."""
    if isinstance(value, str):
        return value
    number = float(value)
    return int(number) if number.is_integer() else float(f"{number:.4g}")


def jpeg(image: Image.Image) -> bytes:
    """A picture for the browser: small and quickly made."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88, subsampling=0)
    return file.getvalue()


def data_url(image: Image.Image, exact: bool = False) -> str:
    """A picture as an address that holds it. exact: every pixel as it is, as small pictures need that are enlarged."""
    if not exact:
        return "data:image/jpeg;base64," + base64.b64encode(jpeg(image)).decode()
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def portable(exhibits: Sequence[Exhibit], values: Mapping[str, Any], dark: bool = False) -> list[dict[str, Any]]:
    """Exhibits as JSON that a browser shows without a plotting library: pictures, drawings (SVG), numbers, tables.

    One that is not reported yet, since its lens is still at work, has no figures.
    """
    return [{"says": one.says, "figures": _figures(one, values, dark)} for one in exhibits]


def _figures(exhibit: Exhibit, values: Mapping[str, Any], dark: bool) -> list[dict[str, Any]]:
    if not values.keys() >= set(exhibit.names):
        return []
    if isinstance(exhibit, Pictures) and exhibit.under:
        return [tiles(exhibit, values)]
    drawn_there: list[dict[str, Any] | None] = [None]
    match exhibit:
        case Matrix(names=names):
            drawn_there = [light_plots.heat(name, values, names) for name in names]
        case Bars(names=names):
            drawn_there = [light_plots.bars(names, values)]
        case Curves(names=names, over=over):
            drawn_there = [light_plots.small_curves(names, values, over)]
        case Pictures() | Overlay() | Boxes() | Masks():
            drawn_there = [mosaic(exhibit, values, dark)]
    found = [figure for figure in drawn_there if figure]
    return found if len(found) == len(drawn_there) else [_sent(figure, dark) for figure in draw(exhibit, values, dark)]


def mosaic(exhibit: Exhibit, values: Mapping[str, Any], dark: bool) -> dict[str, Any]:
    """Pictures in all their columns, in one file without gaps or words, and what the browser lays out around them."""
    names = exhibit.names
    count = min(len(values[names[0]]), pictures.MOST)
    own = None if isinstance(exhibit, Boxes) else small(*[values[name] for name in names if np.ndim(values[name]) == 4])
    columns, legend = DRAWN[type(exhibit)](names, values, own or 0)
    wide = pictures.cell_size(len(columns), count)
    first, paper = next(iter(columns.values()))[0], "#151514" if dark else "#fbfaf7"
    return {"mosaic": {
        "tiles": data_url(pictures.ribbon(columns, paper), exact=own is not None), "across": len(columns),
        "names": [words(name) for name in columns], "count": count, "ratio": first.width / first.height,
        "beside": pictures.beside(len(columns), count), "wide": wide, "crisp": own is not None and 2 * own <= wide,
        "legend": [["#{:02x}{:02x}{:02x}".format(*ink), says] for ink, says in legend],
    }}  # fmt: skip


def small(*shown: Any) -> int | None:
    """The width of pictures (N, C, H, W) that the browser enlarges; None where they are large or differ."""
    widths = {np.shape(one)[-1] for one in shown}
    return widths.pop() if len(widths) == 1 and max(widths) < SMALL else None


def tiles(exhibit: Pictures, values: Mapping[str, Any], wide: int = 0) -> dict[str, Any]:
    """Pictures in one file, under one another, and what stands below each: words, and numbers as bars.

    wide: pixels that large ones are wide; 0: their own.
    """
    shown = np.asarray(values[exhibit.names[0]])[: pictures.MOST]
    own = small(shown)
    columns = {exhibit.names[0]: [pictures.tile(pictures.rgb(each), own or wide or each.shape[-1]) for each in shown]}
    below = {name: values[name] for name in exhibit.under if name in values}
    return {
        "tiles": data_url(pictures.ribbon(columns), exact=own is not None), "count": len(shown),
        "crisp": own is not None, "ratio": shown.shape[-1] / shown.shape[-2],
        "words": [[str(row[i]) for row in below.values() if isinstance(row[i], str)] for i in range(len(shown))],
        "bars": [{words(name): round(float(row[i]), 4) for name, row in below.items() if not isinstance(row[i], str)}
                 for i in range(len(shown))],
    }  # fmt: skip


def _sent(figure: Figure, dark: bool) -> dict[str, Any]:
    match figure:
        case Plot():
            return {"svg": marked(svg(json.dumps(figure.unmarked().whole(dark))), figure.mark, dark)}
        case Sheet():
            return {"columns": figure.columns}
    return {"picture": data_url(raster(figure, dark))}


@lru_cache(maxsize=128)
def svg(spec: str) -> str:
    """A Vega-Lite specification as a drawing. The last are kept: under the hand, most of an answer stays as it is."""
    return converter().vegalite_to_svg(json.loads(spec))


FRAME = re.compile(r'translate\(([\d.]+),([\d.]+)\)"><g class="mark-group role-frame root".*?d="M0,0h([\d.]+)v([\d.]+)')
"""In a drawing: where its plot begins, and how wide and high it is."""


def marked(drawing: str, share: float | None, dark: bool) -> str:
    """A drawing with an upright line at a share of the way across its plot; as it is where there is none."""
    if share is None or (found := FRAME.search(drawing)) is None:
        return drawing
    left, top, width, height = map(float, found.groups())
    x, ink = left + share * width, "#f0ede6" if dark else "#1d1c1a"
    line = f'<line class="here" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + height}" stroke="{ink}"'
    return drawing.removesuffix("</svg>") + f'{line} stroke-width="{plots.MARK}"/></svg>'


@cache
def converter() -> Any:
    """The converter from Vega-Lite to PNG, with the lab's fonts."""
    import vl_convert

    vl_convert.register_font_directory(str(ROOT / "fonts"))
    return vl_convert


def raster(figure: Figure, dark: bool = False) -> Image.Image:
    """Any figure as one picture: a film as a strip of eight frames, a table as lines of text."""
    match figure:
        case Plot():
            png = converter().vegalite_to_png(figure.whole(dark), scale=1.5)
            return Image.open(io.BytesIO(png)).convert("RGB")
        case Reel():
            return pictures.strip(figure.frames, dark)
        case Sheet():
            return table(figure, dark)
    return figure


def table(sheet: Sheet, dark: bool) -> Image.Image:
    """A table as a picture."""
    face, ink = pictures.text_font(19), "#f0ede6" if dark else "#1d1c1a"
    cells = {name: [name, *map(str, column)] for name, column in sheet.columns.items()}
    widths = [max(int(face.getlength(cell)) for cell in column) + 32 for column in cells.values()]
    lines = max(len(column) for column in cells.values())
    image = Image.new("RGB", (sum(widths), lines * 30 + 6), "#151514" if dark else "#fbfaf7")
    pen, left = ImageDraw.Draw(image), 0
    for column, width in zip(cells.values(), widths, strict=True):
        for i, cell in enumerate(column):
            pen.text((left, i * 30), cell, fill=ink, font=face)
        left += width
    pen.line([0, 28, image.width, 28], fill=ink)
    return image


def draw_png(exhibits: Sequence[Exhibit], values: Mapping[str, Any], path: Path, dark: bool = False) -> None:
    """All exhibits under one another, each with its sentence, as one PNG. OSError when it cannot be written."""
    face, margin, paper = pictures.text_font(21), 28, "#151514" if dark else "#fbfaf7"
    blocks: list[tuple[list[str], list[Image.Image]]] = [
        ([], [raster(figure, dark) for figure in draw(exhibit, values, dark)]) for exhibit in exhibits
    ]
    width = max([640, *(image.width for _, images in blocks for image in images)])
    for (lines, _), exhibit in zip(blocks, exhibits, strict=True):
        for word in exhibit.says.split():
            if lines and face.getlength(f"{lines[-1]} {word}") <= width:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
    height = sum(len(lines) * 30 + 10 + sum(image.height + margin for image in images) for lines, images in blocks)
    sheet = Image.new("RGB", (width + 2 * margin, height + margin), paper)
    pen, top = ImageDraw.Draw(sheet), margin
    for lines, images in blocks:
        for line in lines:
            pen.text((margin, top), line, fill="#f0ede6" if dark else "#1d1c1a", font=face)
            top += 30
        top += 10
        for image in images:
            sheet.paste(image, (margin, top))
            top += image.height + margin
    sheet.save(path)
