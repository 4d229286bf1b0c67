"""What would be if: a claim's arms side by side as they trained, for the browser, and the scripts of what is drawn.

Drawn from the receipt and its arms (`engine.receipts`, `engine.arms`): nothing is trained, and torch is not needed.
"""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from engine import arms, receipts
from engine.arms import Arms
from engine.method import Curves, Scatter
from engine.receipts import Receipt
from lab.figures import data_url
from lab.overlaid import colour_of as line_colour
from lab.pictures import rgb, words
from lab.redraw import script
from lab.timeline import FULL, colour_of, spoken

SAYS = {
    "neighbours": "How often the nearest of a few labelled pictures know a test picture's class.",
    "probe": "How often a linear probe, fitted to a few labelled pictures, knows it.",
    "deviation": "How much what the loss compares varies from picture to picture: 1 is evenly spread, 0 is collapse.",
    "directions": "In how many directions features vary, however little they do; 1 is a line.",
    "entropy of a picture": "How undecided the teacher is about a picture, in nats: 0 is sure of one class.",
    "entropy of all": "How evenly its opinions use the classes, in nats: 0 is one class for all.",
    "accuracy": "How often the method itself knows a test picture's class.",
    "on the labelled": "How often it knows the pictures whose labels it learns from.",
    "elsewhere": "How often the nearest know it before another background: the mean of grey, noise and photographs.",
    "on photographs": "How often the nearest know it before a part of a photograph.",
    "contrast": "How hard a view finds its own picture among others, in nats.",
    "invariance": "How far apart the two directions of likeness are, in nats; 0: the same.",
}
PLACES = "The same test pictures where {} places them: unit features in the plane in which they vary most."


def numbers(found: Receipt) -> dict[str, dict[str, np.ndarray]]:
    """number -> arm -> (T, 2): step and value, of the first seed."""
    told: dict[str, dict[str, np.ndarray]] = {}
    for arm, outcomes in found.arms.items():
        course = outcomes[0].course
        for name in course.keys() - {"step", "seconds"}:
            told.setdefault(name, {})[arm] = np.column_stack([course["step"], course[name]])
    return {name: told[name] for name in SAYS if name in told} | told


def shown(id: str, found: Receipt, traced: Arms) -> dict[str, Any]:
    """All that the strip draws, for `lab.components.arms`."""
    reach = float(max(np.quantile(np.abs(places), 0.995) for places in traced.places.values())) * 1.1 or 1.0
    lines = numbers(found)
    route = f"/api/arms/{quote(id)}"
    return {
        "arms": [
            {
                "name": words(arm), "colour": line_colour(place), "steps": traced.steps[arm],
                "figure": f"{words(found.figure)} {found.arms[arm][0].figure:.3g}",
                "places": packed(traced.places[arm] / reach), "script": f"{route}/map/{place}",
            }
            for place, arm in enumerate(traced.places)
        ],
        "curves": [
            {
                "says": SAYS.get(name, words(name)), "script": f"{route}/curve/{quote(name)}",
                "lines": [
                    {"name": words(arm), "colour": line_colour(list(found.arms).index(arm)),
                     "at": rows[:, 0].tolist(), "value": rows[:, 1].tolist()}
                    for arm, rows in courses.items()
                ],
            }
            for name, courses in lines.items()
        ],
        "labels": traced.labels.tolist(),
        "classes": [
            {"label": label, "colour": colour_of(label), "name": name}
            for label, name in enumerate(traced.classes) if (traced.labels == label).any()
        ],
        "first": words(next(iter(lines))), "sheet": data_url(sheet(traced.thumbnails)),
    }  # fmt: skip


def packed(places: np.ndarray) -> str:
    """Places (T, N, 2) in [-1, 1] as whole numbers in base64, little endian; those beyond stand on the edge."""
    return base64.b64encode((np.clip(places, -1, 1) * FULL).round().astype("<i2").tobytes()).decode()


def sheet(thumbnails: np.ndarray) -> Image.Image:
    """Thumbnails (N, C, H, W) one under another."""
    return Image.fromarray(np.concatenate([rgb(picture) for picture in thumbnails]))


# Routes


def _found(id: str) -> tuple[Receipt, Arms]:
    found, traced = receipts.read(id), arms.read(id)
    if found is None or traced is None:
        raise ValueError(f"{id} has no measured arms; measure them: visionarium receipts {id} --measure")
    return found, traced


def send_curve(request: Request) -> Response:
    """GET: the Python file that draws one number of all arms over their steps."""
    found, _ = _found(request.path_params["id"])
    number = request.path_params["number"]
    courses = numbers(found)[number]
    exhibit = Curves(tuple(courses), SAYS.get(number, words(number)))
    return _file(script(exhibit, courses), "curves.py")


def send_map(request: Request) -> Response:
    """GET: the Python file that draws where an arm places the pictures at a step."""
    _, traced = _found(request.path_params["id"])
    arm = list(traced.places)[request.path_params["arm"]]
    steps = np.array(traced.steps[arm])
    at = max(0, int(np.searchsorted(steps, request.path_params["step"], side="right")) - 1)
    values = {"places": traced.places[arm][at], "labels": traced.labels, "classes": list(traced.classes),
              "thumbnails": traced.thumbnails}  # fmt: skip
    return _file(script(Scatter(("places", "labels", "thumbnails"), PLACES.format(words(arm))), values), "map.py")


def _file(code: str, name: str) -> Response:
    return PlainTextResponse(code, headers={"Content-Disposition": f'attachment; filename="{name}"'})


ROUTES: list[BaseRoute] = [
    Route("/api/arms/{id}/curve/{number}/{step:int}", spoken(send_curve)),
    Route("/api/arms/{id}/map/{arm:int}/{step:int}", spoken(send_map)),
]
