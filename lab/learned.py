"""What methods that learn features come to, side by side at the budget of their demos, from their receipts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal, get_args
from urllib.parse import urlencode

import numpy as np
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from engine import catalog, receipts
from engine.method import Curves
from engine.receipts import Outcome
from lab.overlaid import colour_of
from lab.pictures import COLOURS, words
from lab.plots import short
from lab.redraw import script
from lab.timeline import spoken
from lab.what_if import SAYS

Along = Literal["seconds", "step"]
NUMBERS = ("neighbours", "probe", "directions", "deviation")
"""What is compared, in this order: what features are worth, and whether they collapse."""
SHARES = NUMBERS[:2]
"""Those that are shares right, beside which supervised training is drawn."""
SUPERVISED, GREY = "semi.fine_tuning", "#8a8a8a"
USUAL, COLOUR = "garments", "objects"
"""The pictures of the demos, and the others on which receipts measure methods, too."""


@dataclass(frozen=True)
class Learner:
    """An arm of a method that was measured. place: of its colour."""

    id: str
    title: str
    arm: str
    place: int
    outcomes: Sequence[Outcome]

    @property
    def name(self) -> str:
        return f"{self.title}, {words(self.arm)}" if self.arm else self.title

    def points(self, number: str, along: Along) -> np.ndarray:
        """(T, 2): the mean over seeds at each evaluation; empty where this number was not kept."""
        courses = [one.course for one in self.outcomes if number in one.course]
        if not courses:
            return np.empty((0, 2))
        length = min(len(course[number]) for course in courses)
        return np.stack(
            [np.mean([course[name][:length] for course in courses], axis=0) for name in (along, number)], axis=1
        )


def learners(on: str = USUAL, contrasts: bool = False) -> list[Learner]:
    """Every method whose receipt kept what its features were worth, learned and judged `on` these pictures; with
    `contrasts`, its other arms, too, which were measured on the usual ones only."""
    found: list[Learner] = []
    place = 0
    for card in catalog.cards():
        receipt = receipts.read(card.id)
        if receipt is None:
            continue
        told = {arm: outcomes for arm, outcomes in receipt.arms.items() if "neighbours" in outcomes[0].course}
        if not told:
            continue
        if on != USUAL:
            told = {"": receipt.also[on]} if on in receipt.also else {}
        for at, (arm, outcomes) in enumerate(told.items()):
            if at == 0 or contrasts:
                found.append(Learner(card.id, card.title, arm if at else "", place, outcomes))
        place += 1
    return found


def references(found: Sequence[Learner], on: str = USUAL) -> dict[str, float]:
    """What pixels tell of these pictures, and what supervised training on as few labels and on all: shares right, from
    receipts; without what was not measured."""
    told: dict[str, float] = {}
    if pixels := [one.outcomes[0].course["pixels"][-1] for one in found if "pixels" in one.outcomes[0].course]:
        told["nearest by pixels"] = statistics.median(pixels)
    if receipt := receipts.read(SUPERVISED):
        runs, of = (receipt.arms, "") if on == USUAL else (receipt.also, f"{on}, ")
        for arm, says in (("from scratch", "supervised by as few labels"), ("all labels", "supervised by all labels")):
            if outcomes := runs.get(of + arm):
                told[says] = statistics.fmean(one.figure for one in outcomes)
    return told


def figures(found: Sequence[Learner], along: Along, on: str = USUAL) -> list[dict[str, Any]]:
    """Each number over the training, as `lab.components.overlay` draws it; contrasts and references are dashed."""
    told = []
    last = max((points[-1, 0] for one in found if len(points := one.points(NUMBERS[0], along))), default=0.0)
    flat = [{"name": name, "colour": GREY, "dashed": True, "at": [0.0, last], "value": [value, value]}
            for name, value in references(found, on).items()]  # fmt: skip
    for number in NUMBERS:
        lines = [
            {"name": one.name, "colour": colour_of(one.place), "dashed": bool(one.arm) or one.place >= len(COLOURS),
             "at": short(points[:, 0]), "value": short(points[:, 1])}
            for one in found if len(points := one.points(number, along))
        ]  # fmt: skip
        asked = {"number": number, "along": along, "on": on, "contrasts": int(any(one.arm for one in found))}
        if lines and number in SHARES:
            lines += flat
        if lines:
            address = "/api/learned/script?" + urlencode(asked)
            told.append({"says": words(number), "lines": lines, "script": address})
    return told


def legend(found: Sequence[Learner]) -> str:
    """The colour of each method, as HTML."""
    dots = [
        f'<span style="white-space: nowrap; margin-right: 1.2rem"><i style="display: inline-block; width: 0.7rem; '
        f'height: 0.7rem; border-radius: 50%; margin-right: 0.45rem; background: {colour_of(one.place)}"></i>'
        f"{escape(one.title)}</span>"
        for one in found if not one.arm
    ]  # fmt: skip
    return f'<div style="line-height: 2">{" ".join(dots)}</div>'


def table(found: Sequence[Learner]) -> dict[str, list]:
    """Where each ended: mean and standard deviation over seeds, and what it took."""
    rows: dict[str, list] = {name: [] for name in ("method", "neighbours", "±", "probe", "± ", "steps", "CPU seconds")}
    for one in found:
        cells: list[Any] = [one.name]
        for number in ("neighbours", "probe"):
            ends = [outcome.course[number][-1] for outcome in one.outcomes if number in outcome.course]
            cells += [statistics.fmean(ends) if ends else None, statistics.stdev(ends) if len(ends) > 1 else None]
        cells += [int(one.outcomes[0].course["step"][-1]), round(statistics.fmean(each.cpu for each in one.outcomes))]
        for column, cell in zip(rows.values(), cells, strict=True):
            column.append(cell)
    return rows


def send_script(request: Request) -> Response:
    """GET: the Python file that draws one number of all these methods. number, along, on, contrasts: as on the page."""
    asked = request.query_params
    along = next((each for each in get_args(Along) if each == asked.get("along", "seconds")), None)
    if along is None:
        raise ValueError(f"along: there is no axis {asked['along']!r}; choose {' or '.join(get_args(Along))}")
    number = asked["number"]
    found = learners(asked.get("on", USUAL), asked.get("contrasts") == "1")
    values = {one.name: one.points(number, along) for one in found}
    values = {name: points for name, points in values.items() if len(points)}
    if not values:
        raise ValueError(f"no receipt kept {number!r}")
    code = script(Curves(tuple(values), SAYS.get(number, words(number)), over=along), values)
    return PlainTextResponse(code, headers={"Content-Disposition": 'attachment; filename="learned.py"'})


ROUTES: list[BaseRoute] = [Route("/api/learned/script", spoken(send_script))]
