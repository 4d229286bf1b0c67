"""The time machine as an animation: map, curves and pictures at each stored step, and on the way between two."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageDraw

from engine.method import Curves, Exhibit
from engine.record import media, read_values
from lab import timeline
from lab.figures import PICTURES, draw, raster
from lab.pictures import COLOURS, text_font
from lab.plots import shorter, smooth, thin
from lab.runs import Run
from lab.timeline import Course, colour_of

Kind = Literal["gif", "webp", "png"]
WIDTH, PANEL, MARGIN = 1240, (640, 250), 24
"""Pixels across; of a panel of curves; between things."""
SIDE, MOST, HOLD = 524, 120, 1500
"""Pixels of the map; frames at most; milliseconds for which the last frame stands."""
RADIUS = 3


def film(run: Run, kind: Kind = "gif", dark: bool = False) -> bytes:
    """A run's time machine as an animated GIF, WebP or PNG. ValueError when fewer than two steps were stored."""
    from engine.catalog import method

    return animation(list(frames_of(run, method(run.plan.method).exhibits, dark)), kind)


def animation(frames: list[Image.Image], kind: Kind) -> bytes:
    """Frames of one size as one file that plays without end, six seconds long where there are 120 frames or fewer."""
    times = [max(50, 6000 // len(frames))] * (len(frames) - 1) + [HOLD]
    if kind == "gif":  # one palette and no dither: a third of the size
        palette = frames[-1].quantize(255)
        frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    file = io.BytesIO()
    more: dict[str, Any] = {"quality": 80, "method": 2} if kind == "webp" else {}
    frames[0].save(file, kind.upper(), save_all=True, append_images=frames[1:], duration=times, loop=0, **more)
    return file.getvalue()


def frames_of(run: Run, exhibits: Sequence[Exhibit], dark: bool = False) -> Iterator[Image.Image]:
    """The frames, all of one size; between stored steps only where points of a map are on their way."""
    stops, course, numbers = timeline.stops(run), timeline.course_of(run.folder), timeline.numbers(run, exhibits)
    if len(stops) < 2:
        raise ValueError(f"run {run.id} has {len(stops)} stored steps, and a film needs two; let it run on")
    curves = [one for one in exhibits if isinstance(one, Curves) and numbers.keys() >= set(one.names)][:2]
    ends = [points[[0, -1], 0] for one in curves for points in (numbers[name] for name in one.names)]
    span = (float(np.min(ends)), float(np.max(ends))) if ends else (0.0, 1.0)
    panels = [Panel(one, numbers, span, dark) for one in curves]
    stills = list(pictures_of(run, exhibits, stops, dark))
    below = max((still.height + MARGIN for still in stills if still), default=0)
    top = 56 + max(SIDE if course else 0, len(panels) * (PANEL[1] + MARGIN) - MARGIN) + MARGIN
    ink, paper = ("#f0ede6", "#151514") if dark else ("#1d1c1a", "#fbfaf7")
    stride = -(-len(stops) // MOST)
    chosen = [*range(0, len(stops) - 1, stride), len(stops) - 1]
    between = max(1, min(6, MOST // len(chosen))) if course else 1
    for here, there in zip(chosen, [*chosen[1:], chosen[-1]], strict=True):
        for part in range(between if here != there else 1):
            step = stops[here] + part / between * (stops[there] - stops[here])
            sheet = Image.new("RGB", (WIDTH, top + below), paper)
            pen = ImageDraw.Draw(sheet)
            says = f"{run.plan.name or run.plan.method}, step {step:,.0f}"
            pen.text((MARGIN, 14), says, fill=ink, font=text_font(24))
            if course:
                sheet.paste(map_picture(course, step, dark), (MARGIN, 56))
            for i, panel in enumerate(panels):
                left = WIDTH - PANEL[0] - MARGIN if course else MARGIN
                sheet.paste(panel.at(step), (left, 56 + i * (PANEL[1] + MARGIN)))
            if still := stills[here]:
                sheet.paste(still, (MARGIN, top))
            yield sheet


def pictures_of(
    run: Run, exhibits: Sequence[Exhibit], stops: Sequence[int], dark: bool
) -> Iterator[Image.Image | None]:
    """At each stop the last stored pictures of the first exhibit that is drawn as one, fitted to the film."""
    exhibit = next((one for one in exhibits if isinstance(one, PICTURES)), None)
    stored, drawn = dict(media(run.folder)), None
    for step in stops:
        values = read_values(stored[step])[0] if step in stored else {}
        if exhibit and values.keys() >= set(exhibit.names):
            drawn = raster(draw(exhibit, values, dark)[0], dark)
            drawn.thumbnail((WIDTH - 2 * MARGIN, 420))
        yield drawn


def map_picture(course: Course, step: float, dark: bool) -> Image.Image:
    """The map at a step or between two."""
    ink, paper = ("#f0ede6", "#151514") if dark else ("#1d1c1a", "#fbfaf7")
    image = Image.new("RGB", (SIDE, SIDE), paper)
    pen, reach = ImageDraw.Draw(image), SIDE / 2 - 12
    places = course.drawn(course.at(step)) * reach
    for (across, up), label in zip(places.tolist(), course.labels.tolist(), strict=True):
        if across == across:
            x, y = SIDE / 2 + across, SIDE / 2 - up
            pen.ellipse([x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS], fill=colour_of(label))
    pen.rectangle([0, 0, SIDE - 1, SIDE - 1], outline=ink)
    return image


class Panel:
    """One exhibit's curves, drawn once; `at` sets the cursor and the numbers."""

    def __init__(self, exhibit: Exhibit, numbers: Mapping[str, np.ndarray], span: tuple[float, float], dark: bool):
        """span: the first and the last step, which all panels share."""
        self.ink, self.paper = ("#f0ede6", "#151514") if dark else ("#1d1c1a", "#fbfaf7")
        self.lines = {said: thin(numbers[name]) for name, said in shorter(exhibit.names).items()}
        every = np.concatenate(list(self.lines.values()))
        self.low, self.high = (np.array([span[i], end]) for i, end in enumerate((every[:, 1].min(), every[:, 1].max())))
        self.high = np.where(self.high - self.low < 1e-12, self.low + 1, self.high)
        self.image = Image.new("RGB", PANEL, self.paper)
        pen = ImageDraw.Draw(self.image)
        for value, anchor in ((self.low[1], "rs"), (self.high[1], "rt")):
            pen.text((64, self.place(0, value)[1]), f"{value:.3g}", fill=self.ink, font=text_font(15), anchor=anchor)
        for i, points in enumerate(self.lines.values()):
            track = [self.place(*point) for point in zip(points[:, 0], smooth(points[:, 1]), strict=True)]
            pen.line(track, fill=COLOURS[i % len(COLOURS)], width=3, joint="curve")

    def place(self, step: float, value: float) -> tuple[float, float]:
        """Pixels of a point."""
        share = (np.array([step, value]) - self.low) / (self.high - self.low)
        return 72 + float(share[0]) * (PANEL[0] - 80), PANEL[1] - 8 - float(share[1]) * (PANEL[1] - 44)

    def at(self, step: float) -> Image.Image:
        """The panel with its cursor at a step."""
        image = self.image.copy()
        pen, left, face = ImageDraw.Draw(image), 72.0, text_font(16)
        x = self.place(min(max(step, self.low[0]), self.high[0]), 0)[0]
        pen.line([x, 36, x, PANEL[1] - 8], fill=self.ink)
        for i, (name, points) in enumerate(self.lines.items()):
            known = points[points[:, 0] <= step]
            says = f"{name} {known[-1, 1]:.4g}" if len(known) else name
            pen.ellipse([left, 10, left + 11, 21], fill=COLOURS[i % len(COLOURS)])
            pen.text((left + 18, 4), says, fill=self.ink, font=face)
            left += face.getlength(says) + 40
        return image
