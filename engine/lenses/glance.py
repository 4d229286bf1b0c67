"""One picture under all lenses for classifiers at once, small, so that two networks fit side by side."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.augment import Decisions, RandAugment
from engine.augment.corruptions import CORRUPTIONS
from engine.augment.fan import NAMES
from engine.augment.inspect import applied
from engine.augment.magnitudes import LARGEST
from engine.bench import Bench
from engine.lenses.classifier import Classifies
from engine.lenses.saliency import input_gradient, occlusion, over_pixels
from engine.lenses.views import USUAL, in_all_views, places
from engine.method import Bars, Lens, Overlay, Params, Pictures, Report, knob
from engine.metrics.doubts import doubts

TILES, OPERATIONS = 6, 4
ALL, LIKELY = 12, 5
"""Classes up to which all are shown, in their order; of more, those that are the likeliest."""


class GlanceParams(Params):
    n: int = knob(2, "RandAugment's operations for each draw", 0, OPERATIONS)
    m: int = knob(15, "their magnitude", 0, LARGEST)
    cells: int = knob(7, "parts along each side that are hidden in turn", 2, 12)
    seed: int = knob(0, "another draw, and other noise", 0, 9999)


def draws(params: GlanceParams, images: Tensor) -> tuple[Tensor, list[str]]:
    """TILES draws of one picture, and what was done to each; those of a larger n begin as those of a smaller."""
    generator = torch.Generator().manual_seed(params.seed)
    every = RandAugment(OPERATIONS, params.m).draw(TILES, generator)
    rows = (every.operation, every.magnitude, every.sign, every.applied)
    policy, decisions = RandAugment(params.n, params.m), Decisions(*(row[: params.n] for row in rows))
    seen = policy.apply(images.expand(TILES, -1, -1, -1), decisions)
    return seen, applied(policy, decisions, (images.shape[2], images.shape[3]))


def faults(model: Classifies, images: Tensor, seed: int) -> Tensor:
    """(faults, K): what is said of the picture with each fault."""
    seen = torch.cat([spoil(images, torch.Generator().manual_seed(seed)) for spoil in CORRUPTIONS.values()])
    return model(seen).softmax(dim=1)


def of_most(values: Tensor) -> Tensor:
    """As shares of the largest; what is negative is 0."""
    positive = values.clamp(min=0)
    return positive / positive.max().clamp(min=1e-12)


@torch.no_grad()
def look_glance(model: Classifies, params: GlanceParams, images: Tensor, bench: Bench) -> Report:
    """The answer, and whether it stands: under augmentation, over views, with faults, with parts hidden."""
    logits = in_all_views(model, images, bench)[1][places(USUAL), 0]
    views = logits.softmax(dim=1)
    label, many = int(views[0].argmax()), views.shape[1] > ALL
    likely = views[0].topk(LIKELY).indices if many else torch.arange(views.shape[1], device=views.device)
    seen, words = draws(params, images)
    drawn = bench.recall(lambda: model(seen).softmax(dim=1), "draws", seen)
    spoilt = bench.recall(lambda: faults(model, images, params.seed), "faults", images, params.seed)
    cells = min(params.cells, *images.shape[-2:])
    falls = bench.recall(lambda: occlusion(model, images, label, cells), "hidden", images, cells, "grey")
    doubt = doubts(views[None])
    return {
        "probability": views[0, likely], "class": [model.classes[c] for c in likely.tolist()],
        "draws": seen, "still": drawn[:, label], "applied": words,
        "in_the_view": views[:, label], "view": [name for name in NAMES if name in USUAL],
        "nats": torch.stack([part[0] for part in doubt.values()]),
        "doubt": ["in all", "of each view", "views disagree"],
        "with_the_fault": spoilt[:, label], "fault": list(CORRUPTIONS),
        "picture": images.expand(-1, 3, -1, -1), "hidden": over_pixels(of_most(falls), *images.shape[-2:]),
        "slope": of_most(bench.recall(lambda: input_gradient(model, images, label), "slope", images)),
    }  # fmt: skip


GLANCE = Lens(
    "At a glance", GlanceParams, look_glance,
    (
        Bars(("probability", "class"), "Probability of the classes."),
        Bars(("with_the_fault", "fault"), "Probability of its first answer, with each fault."),
        Bars(("in_the_view", "view"), "Probability of its first answer, in each view."),
        Bars(("nats", "doubt"), "Doubt over these views, in nats."),
        Pictures(("draws",), "Draws of RandAugment: the bar is what remains of that probability.",
                 under=("still", "applied")),
        Overlay(("picture", "hidden", "slope"), "What the answer hangs on: parts whose hiding costs it most, and "
                "pixels where it is steepest, as shares of the largest."),
    ),
    "One picture under all lenses at once.",
    takes="image",
)  # fmt: skip


class AnswersParams(Params):
    pass


@torch.no_grad()
def look_answers(model: Classifies, params: AnswersParams, images: Tensor, bench: Bench) -> Report:
    """What each picture is called, and how sure the network is."""
    sure, said = bench.recall(lambda: model(images).softmax(dim=1), "answers", images).max(dim=1)
    return {"pictures": images, "sure": sure, "says": [model.classes[c] for c in said.tolist()]}


ANSWERS = Lens(
    "Answers", AnswersParams, look_answers,
    (Pictures(("pictures",), "What each is called, and how sure the network is.", under=("sure", "says")),),
    "What does it call each of your pictures?",
)  # fmt: skip
