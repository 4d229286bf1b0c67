"""The curves of several runs over one another: along which axis, as lines for the browser, and the script of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

import numpy as np
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from engine.method import Curves
from lab.pictures import COLOURS, words
from lab.plots import POINTS, short, thin
from lab.redraw import script
from lab.runs import Run
from lab.runs.compare import Columns, Over, columns, compared, curve, epoch_steps, labels, running_mean, shared
from lab.timeline import spoken

BUDGET = 10_000
"""Points that are drawn on a page."""
AXES: tuple[Over, ...] = ("step", "epoch", "wall clock")


def colour_of(place: int) -> str:
    """The colour of the run at this place, everywhere it is compared."""
    return COLOURS[place % len(COLOURS)]


@dataclass(frozen=True)
class Overlaid:
    """Runs side by side along one axis."""

    runs: Sequence[Run]
    over: Over = "step"

    @cached_property
    def series(self) -> list[Columns]:
        return [columns(run) for run in self.runs]

    @cached_property
    def names(self) -> list[str]:
        return labels(self.runs)

    @cached_property
    def epochs(self) -> list[float | None]:
        """Steps that make an epoch of each run; None where its knobs do not tell."""
        return [epoch_steps(run.plan) for run in self.runs]

    @cached_property
    def numbers(self) -> list[str]:
        """Those that two of the runs reported."""
        return shared(self.series)

    @cached_property
    def unit(self) -> tuple[str, float]:
        """What the axis counts, and how much of the series' own unit that is."""
        return clock(self.series) if self.over == "wall clock" else (self.over, 1.0)

    @cached_property
    def steady(self) -> dict[str, float]:
        """Numbers that were told again and again and are the same in all runs, such as baselines: value by name."""
        found = {}
        for number in self.numbers:
            values = np.concatenate([curve(one, number, "step")[:, 1] for one in self.series])
            if len(values) > len(self.series) and (values == values[0]).all():
                found[number] = float(values[0])
        return found

    def points(self, number: str) -> dict[int, np.ndarray]:
        """Points (N, 2) of a number by the place of their run, in order; without runs that have none on this axis."""
        found = {
            place: curve(one, number, self.over, epoch) / (self.unit[1], 1)
            for place, (one, epoch) in enumerate(zip(self.series, self.epochs, strict=True))
            if self.over != "epoch" or epoch is not None
        }
        return {place: rows[np.argsort(rows[:, 0], kind="stable")] for place, rows in found.items() if len(rows)}

    def figures(self, window: int) -> list[dict[str, Any]]:
        """Each number that moves, as `lab.components.overlay` draws it. window: points of the running mean."""
        most = max(60, min(POINTS, BUDGET // (len(self.runs) * max(1, len(self.numbers)))))
        figures = []
        for number in self.numbers:
            if number not in self.steady and (found := self.points(number)):
                lines = [line(found[place], place, self.names[place], window, most) for place in found]
                figures.append({"says": words(number), "lines": lines, "script": self.address(number)})
        return figures

    def address(self, number: str) -> str:
        """Where the script of a number's figure is to be had."""
        ids = ",".join(run.id for run in self.runs)
        return "/api/compare/script?" + urlencode({"runs": ids, "over": self.over, "number": number})


def clock(series: Sequence[Columns]) -> tuple[str, float]:
    """The unit in which all wall clocks are told, and its seconds."""
    longest = max((one.seconds[-1] for one in series if len(one.seconds)), default=0.0)
    return ("hours", 3600.0) if longest > 7200 else ("minutes", 60.0) if longest > 120 else ("seconds", 1.0)


def line(points: np.ndarray, place: int, name: str, window: int, most: int = POINTS) -> dict[str, Any]:
    """Points (N, 2) as the browser draws them, in the run's colour: with the running mean, but over a tenth at most."""
    window = min(window, len(points) // 10)
    drawn = thin(np.column_stack([points, running_mean(points[:, 1], window)]), most)
    told = {"name": name, "colour": colour_of(place), "dashed": place >= len(COLOURS),
            "at": short(drawn[:, 0]), "value": short(drawn[:, 1])}  # fmt: skip
    return told | ({"mean": short(drawn[:, 2])} if window > 1 else {})


def send_script(request: Request) -> Response:
    """GET: the Python file that draws a number of several runs over one another. runs: ids; over: see `AXES`."""
    asked: Mapping[str, str] = request.query_params
    number, axes = asked["number"], [axis for axis in AXES if axis == asked.get("over", "step")]
    if not axes:
        raise ValueError(f"over: there is no axis {asked['over']!r}; choose {', '.join(AXES)}")
    overlaid = Overlaid(compared(asked["runs"]), axes[0])
    values = {overlaid.names[place]: points for place, points in overlaid.points(number).items()}
    if not values:
        raise ValueError(f"none of these runs reported {number!r} over the {axes[0]}")
    code = script(Curves(tuple(values), words(number), over=overlaid.unit[0]), values)
    return PlainTextResponse(code, headers={"Content-Disposition": 'attachment; filename="curves.py"'})


ROUTES: list[BaseRoute] = [Route("/api/compare/script", spoken(send_script))]
