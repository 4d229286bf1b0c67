"""Style transfer under the hand: a picture painted anew, at several weights, and what each depth knows of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.bench import Bench
from engine.data.pictures import picture
from engine.method import Curves, Lens, Matrix, Params, Pictures, Report, Table, knob
from engine.nets.perceptual import (
    DEPTHS,
    LAYERS,
    Depth,
    Match,
    Painting,
    Start,
    Target,
    mover,
    objective,
    primed,
    step_of,
)
from engine.nets.pretrained import VGG19_FILE, FeatureNet, Pooling
from engine.ops.gram import gram

Backbone = Literal["auto", "squeezenet", "lite0", "vgg19"]
CALLED: dict[FeatureNet, str] = {"squeezenet": "SqueezeNet 1.1", "lite0": "EfficientNet-Lite0", "vgg19": "VGG-19"}
WIDE = 512
"""Pixels a side at which the pictures come, and the most that are painted."""
MOMENTS = 20
"""Pictures that a painting shows on its way, its beginning not counted."""
STRONGEST = 24
"""Channels in a Gram matrix that is shown."""


class Easel(Painting):
    """What every painting here can be told."""

    steps: int = knob(100, "optimiser steps", 1, 1000, tiny=2, unit="steps")
    size: int = knob(160, "height and width of the painting", 32, WIDE, tiny=32, paper=512, unit="px", log=True)
    backbone: Backbone = knob("auto", "pretrained network; auto: VGG-19 if its weights are on this machine, else "
                              "SqueezeNet, which ships", paper="vgg19", fold=True)  # fmt: skip

    @property
    def network(self) -> FeatureNet:
        if self.backbone != "auto":
            return self.backbone
        here = Path(torch.hub.get_dir()) / "checkpoints" / VGG19_FILE
        return "vgg19" if here.is_file() else "squeezenet"


def at_size(images: Tensor, size: int) -> Tensor:
    """Images (B, C, H, W) at size x size, antialiased."""
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


def paint(
    start: Tensor, target: Target, p: Painting, match: Match, steps: int, moments: int = MOMENTS
) -> Iterator[tuple[int, Tensor, Report]]:
    """(step, picture, parts of its loss) at the start, step 0, and at `moments` steps evenly on the way to the last.

    As often as there are steps where these are fewer. The parts are those of the picture before its last step, of the
    start its own.
    """
    pixels = start.clone().requires_grad_()
    optimizer = mover(pixels, p)
    with torch.no_grad():
        told = objective(start, target, p, match)[1]
    yield 0, start, told
    for step in range(1, steps + 1):
        with torch.enable_grad():
            told = step_of(optimizer, lambda: objective(pixels, target, p, match))
        if step * moments // steps > (step - 1) * moments // steps:
            yield step, pixels.detach().clamp(0, 1), told


class TransferParams(Easel):
    style: str = knob("starry_night", "picture whose manner to take", picture=True)
    start: Start = knob("content", "what the canvas shows at first")
    match: Match = knob("both", "content alone inverts it, style alone makes a texture", fold=True)
    depth: Depth = knob("2", "depth whose Gram matrices are shown", fold=True)


def transfer(
    model: object, p: TransferParams, images: Tensor, bench: Bench, earlier: Report | None = None
) -> Iterator[Report]:
    """Paint the given picture anew, and show it as it grows: the canvas, its errors, its Gram matrix.

    earlier: a report of another painting, whose canvas this one begins with and whose curves it continues.
    """
    content, style = at_size(images, p.size), picture(p.style, p.size)[None].to(bench.device) / 255
    target = Target(p.network, p.pooling, content, style)
    course: dict[str, list[tuple[float, float]]] = {name: [] for name in (*ERRORS, *ERRORS_BY_DEPTH)}
    begun, done = primed(p.start, content, style, bench.generator), 0.0
    if earlier is not None:
        begun = at_size(earlier["result"], p.size)
        course = {name: [tuple(point) for point in earlier[name].tolist()] for name in course}
        done = course["style error"][-1][0]
    still = {name: target.at_depths(one) for name, one in (("content", content), ("style", style))}
    for step, pixels, _ in paint(begun, target, p, p.match, p.steps):
        with torch.no_grad():
            values = still | {"result": target.at_depths(pixels)}
        layers = by_layer(values["result"], target, p)
        if step or earlier is None:
            style_errors = layers["style_error"].tolist()
            errors = (layers["content_error"][DEPTHS.index(p.content_depth)].item(), sum(style_errors) / len(DEPTHS))
            for points, error in zip(course.values(), (*errors, *style_errors), strict=True):
                points.append((done + step, error))
        yield {
            "content": content, "style": style, "result": pixels,
            **{name: torch.tensor(points, dtype=torch.float32) for name, points in course.items()},
            **compared(values, target, p.depth), **layers,
        }  # fmt: skip


@torch.no_grad()
def compared(values: dict[str, dict[Depth, Tensor]], target: Target, depth: Depth, channels: int = STRONGEST) -> Report:
    """Gram matrices of pictures, their channels in one order, the style's strongest first, over the style's largest.

    values: picture -> depth -> its activations there.
    """
    wanted = target.grams[depth][0]
    order = wanted.diagonal().argsort(descending=True)[:channels]
    found = {name: gram(one[depth])[0] for name, one in values.items()}
    return {f"{name} Gram": one[order][:, order] / wanted.max() for name, one in found.items()}


@torch.no_grad()
def by_layer(values: dict[Depth, Tensor], target: Target, p: Easel) -> Report:
    """A row a depth: which layer of which network it is, what it counts, and how far the picture is off there."""
    styles = target.style_errors(values)
    return {
        "depth": list(DEPTHS), "network": [CALLED[p.network]] * len(DEPTHS), "layer": list(LAYERS[p.network]),
        "share_of_style": torch.tensor([p.weights.get(depth, 0.0) for depth in DEPTHS]),
        "style_error": torch.stack([styles[depth] for depth in DEPTHS]),
        "content_error": torch.stack([target.content_error(values, depth) for depth in DEPTHS]),
    }  # fmt: skip


class RatiosParams(Easel):
    style: str = knob("starry_night", "picture whose manner to take", picture=True)
    count: int = knob(4, "pictures side by side", 2, 4)
    factor: float = knob(10.0, "how many times more the style weighs from one to the next", 1.1, 100.0, log=True)
    steps: int = knob(60, "optimiser steps for each", 1, 1000, tiny=2, unit="steps")
    size: int = knob(128, "height and width of each", 32, WIDE, tiny=32, unit="px", log=True)
    start: Start = knob("content", "what the canvas shows at first", fold=True)


def ratios(model: object, p: RatiosParams, images: Tensor, bench: Bench) -> Iterator[Report]:
    """The same painting at several weights of the style, all at once; the weight that is set is the last but one."""
    content, style = at_size(images, p.size), picture(p.style, p.size)[None].to(bench.device) / 255
    target = Target(p.network, p.pooling, content, style)
    begun = primed(p.start, content, style, bench.generator)
    weights = [p.style_weight * p.factor ** (place - p.count + 2) for place in range(p.count)]
    paintings = [p.model_copy(update={"style_weight": weight}) for weight in weights]
    for moment in zip(*(paint(begun, target, one, "both", p.steps) for one in paintings), strict=True):
        yield {
            "pictures": torch.cat([content, *(pixels for _, pixels, _ in moment)]),
            "weight": ["content", *(f"1 : {weight:.3g}" for weight in weights)],
            "errors": ["", *(f"{float(told['content error']):.2f} : {float(told['style error']):.2f}"
                             for _, _, told in moment)],
        }  # fmt: skip


class DepthsParams(Params):
    what: Literal["content", "style"] = knob("content", "what a depth knows of the place, or of the manner")
    steps: int = knob(60, "optimiser steps for each depth", 1, 1000, tiny=2, unit="steps")
    size: int = knob(128, "height and width of each", 32, WIDE, tiny=32, unit="px", log=True)
    optimizer: Literal["adam", "lbfgs"] = knob("adam", "how pixels are moved", fold=True)
    backbone: Backbone = knob("auto", "pretrained network", fold=True)
    pooling: Pooling = knob("max", "how the network pools", paper="avg", fold=True)


def depths(model: object, p: DepthsParams, images: Tensor, bench: Bench) -> Iterator[Report]:
    """From noise, match the picture at each depth alone: its values, or the Gram matrices up to that depth."""
    image = at_size(images, p.size)
    easel = Easel(backbone=p.backbone, pooling=p.pooling)
    target = Target(easel.network, p.pooling, image, image)
    noise = torch.rand(image.shape, generator=bench.generator, device=bench.device)
    paintings = [
        Painting(content_depth=depth, style_depths=DEPTHS[: i + 1], smooth=0.1, lr=0.05, optimizer=p.optimizer)
        for i, depth in enumerate(DEPTHS)
    ]
    for moment in zip(*(paint(noise, target, one, p.what, p.steps) for one in paintings), strict=True):
        found = {f"depth {depth}": pixels for depth, (_, pixels, _) in zip(DEPTHS, moment, strict=True)}
        yield {"original": image, **found}


class GramParams(Params):
    depth: Depth = knob("2", "depth of the network")
    channels: int = knob(32, "channels shown, those strongest in the style first", 4, 64)
    backbone: Backbone = knob("auto", "pretrained network", fold=True)


def grams(model: object, p: GramParams, images: Tensor | None, bench: Bench) -> Report:
    """The Gram matrices of the three pictures of a run."""
    shown = {"content": model.content, "style": model.style, "result": model.shown}  # type: ignore[attr-defined]
    target = Target(Easel(backbone=p.backbone).network, "max", shown["content"], shown["style"])
    return shown | compared({name: target.at_depths(one) for name, one in shown.items()}, target, p.depth, p.channels)


ERRORS = ("content error", "style error")
ERRORS_BY_DEPTH = tuple(f"style error {depth}" for depth in DEPTHS)
BY_DEPTH = Curves(ERRORS_BY_DEPTH, "Gram error by depth; 0 is the style itself.")
MATRICES = Matrix(
    ("content Gram", "style Gram", "result Gram"),
    "Bright: two channels fire together. The result's looks like the style's, not the content's.",
)
TRANSFER = Lens(
    "Transfer", TransferParams, transfer,
    (
        Pictures(("content", "style", "result"), "The picture, painted anew while you watch. Stop when you like it, or "
                 "go on from any moment, with other knobs if you wish."),
        Curves(ERRORS, "What is minimised: how far the canvas is from the content at one depth, and from the style on "
               "average over the depths, each relative to its target."),
        BY_DEPTH, MATRICES,
        Table(("depth", "network", "layer", "share_of_style", "style_error", "content_error"),
              "The layers, what each counts, and how far the canvas is off there now."),
    ),
    "Paint your own picture in another manner; weigh style against content.", takes="image", long=True, goes_on=True,
    wide=WIDE,
)  # fmt: skip
GRAMS = Lens(
    "Gram matrices", GramParams, grams, (Pictures(("content", "style", "result"), "The three pictures."), MATRICES),
    "What style is to the network: which channels fire together.", takes="nothing",
)  # fmt: skip
RATIOS = Lens(
    "Ratios", RatiosParams, ratios,
    (Pictures(("pictures",), "Content : style, the weights above and the errors that are left below. To the right the "
              "style weighs more.", under=("weight", "errors")),),
    "One picture at two to four ratios of content and style.", takes="image", long=True, wide=WIDE,
)  # fmt: skip
DEPTHS_ALONE = Lens(
    "Depths", DepthsParams, depths,
    (Pictures(("original", *(f"depth {depth}" for depth in DEPTHS)), "Content: the deeper the layer, the less it knows "
              "of exact pixels. Style: with every depth added the texture has larger forms."),),
    "Rebuild a picture from noise by what a single depth still knows of it.", takes="image", long=True, wide=WIDE,
)  # fmt: skip
