"""Lenses on what stands out in a picture: what is kept of it, and whether features know it before something else."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.augment.background import Behind, OtherBackground
from engine.bench import Bench
from engine.data.subset import spread
from engine.lenses.features import Featured
from engine.method import Bars, Lens, Params, Pictures, Report, Table, knob
from engine.metrics.backgrounds import GROUNDS, OtherGrounds
from engine.metrics.neighbours import PIXELS
from engine.metrics.readout import Embed
from engine.ops.salient import Way, in_front_of, salient, stands_out

SHOWN = 8
"""Test pictures that are shown before each background."""
WAY = "bright and steep places (edges), or what is unlike the border (surround); auto: edges of grey pictures"
"""What the knob `way` says of itself."""


class KeptParams(Params):
    way: Way = knob("auto", WAY)
    times: float = knob(1.0, "the threshold, times Otsu's", 0.1, 3.0, unit="x", log=True)
    edges: float = knob(0.5, "how much steepness counts beside brightness", 0.0, 5.0)
    behind: Behind = knob("grey", "what is put behind: grey, noise, or what is behind another of the pictures")
    seed: int = knob(0, "other noise, and another picture", 0, 9999)


@torch.no_grad()
def kept(model: Featured, params: KeptParams, images: Tensor, bench: Bench) -> Report:
    """What stands out in each picture, and the picture with something else behind it; no network is asked."""
    score = stands_out(images, params.way, params.edges)
    mask = salient(images, params.way, params.edges, params.times)
    step, host = OtherBackground(1.0, params.behind, params.way, params.edges), torch.Generator()
    behind = step.something_else(images, torch.arange(len(images)), host.manual_seed(params.seed))
    return {
        "original": images, "saliency": score / score.amax(dim=(2, 3), keepdim=True).clamp(min=1e-6),
        "kept": mask.float(), "masked": in_front_of(images, mask, behind),
        "number": torch.arange(1, len(images) + 1), "share kept": mask.float().mean(dim=(1, 2, 3)),
    }  # fmt: skip


KEPT = Lens(
    "What is kept", KeptParams, kept,
    (
        Pictures(("original", "saliency", "kept", "masked"), "Your pictures, how much each place stands out, what is "
                 "above the threshold, and that before something else."),
        Table(("number", "share kept"), "The share of each picture that is kept."),
    ),
    "What stands out, found without learning: where does it keep the thing, where does it lose it?",
)  # fmt: skip


class ElsewhereParams(Params):
    labels: int = knob(200, "labelled training pictures, as they are, whose nearest vote", 20, 5000, tiny=40)
    way: Way = knob("auto", WAY)
    edges: float = knob(0.5, "how much steepness counts beside brightness", 0.0, 5.0, fold=True)
    data: str = knob("", "where they come from; empty: what the network was trained on", fold=True)


@torch.no_grad()
def elsewhere(model: Featured, params: ElsewhereParams, images: None, bench: Bench) -> Report:
    """How often the nearest labelled pictures know a test picture's class before other backgrounds."""
    name, size = params.data or model.params.data, model.facts.size
    data, test = (bench.data(name, split, size) for split in ("train", "test"))
    grounds = OtherGrounds(bench, spread(data, params.labels), test, params.way, params.edges)
    if not grounds.classes:
        raise ValueError(f"data: {name} has no classes that training and test pictures share, so nobody can say "
                         "what is known; choose one that has, e.g. garments")  # fmt: skip
    ways: dict[str, Embed] = {"features": model.features, "after the head": model.project, "pixels": PIXELS}
    shown = spread(test, SHOWN)
    found = {way: grounds.shares(embed, GROUNDS) for way, embed in ways.items()}
    tests = shown.batch(torch.arange(len(shown))).to(bench.device).images
    return {
        **{ground: grounds.before(tests, ground) for ground in GROUNDS}, "ground": list(GROUNDS),
        **{way: torch.stack([*each.values()]) for way, each in found.items()},
    }  # fmt: skip


ELSEWHERE = Lens(
    "Before something else", ElsewhereParams, elsewhere,
    (
        Bars(("features", "after the head", "pixels", "ground"), "How often the nearest labelled pictures, which stay "
             "as they are, know the class of a test picture before each ground: by the features, by what the head "
             "makes of them, and by plain pixels."),
        Pictures(GROUNDS, "Test pictures before each of them."),
    ),
    "Does it know the thing, or the background with it?", takes="nothing", long=True,
)  # fmt: skip
