r"""Neural style transfer.

Gatys, Ecker, Bethge. CVPR 2016. arXiv:1508.06576

Idea. In a trained network the values of a deep layer say what is where (content), and the correlations between the
channels of several layers, their Gram matrices, say how it is painted (style). Change the pixels of a picture until its
deep values match one picture and its Gram matrices another.

Equation. $$\mathcal{L}(x)=\alpha\,\|F^{c}(x)-F^{c}(x_{\rm content})\|^2+\beta\sum_l w_l\,
\|G^l(x)-G^l(x_{\rm style})\|^2,\qquad G^l=\tfrac1{M_l}F^lF^{l\top}$$

Where. $x$: the pixels, the only thing that is trained
$F^l$: activations of depth l, channels times places
$G^l$: Gram matrix of depth l, which channels fire together
$\alpha$: content weight, 1 here
$\beta$: style weight
$w_l$: weight of a depth, equal over the chosen ones

Differs. Each term is relative (divided by the target's own size), so that one style weight serves all depths and
networks; the paper's absolute sums differ by constants. The shipped network is SqueezeNet 1.1 with max pooling, in
place of VGG-19 with average pooling, which is used as published when its weights are on disk. The start is the content
picture in the style's colours; the paper starts from noise or the content. Pixels outside [0, 1] are pulled back.

Expect. The demo takes 4 CPU-seconds of one core. On photographs drawn by three seeds the mean relative Gram error
falls to 0.08, 0.07 and 0.07, from 0.68, 1.23 and 0.87 of the recoloured content; matching the first depth alone
leaves it at 0.85, 2.24 and 0.71. Larger steps paint coloured noise, not strokes. Adam gives stronger strokes here than
L-BFGS, which keeps closer to the content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from engine.bench import Bench
from engine.data.base import Facts
from engine.data.pictures import names, picture
from engine.method import Claim, Curves, Lens, Matrix, Method, Params, Pictures, Report, knob
from engine.nets.perceptual import DEPTHS, Depth, Target
from engine.nets.pretrained import FeatureNet, Pooling
from engine.ops.colour import recolour, total_variation
from engine.ops.gram import gram

BEYOND = 100.0
"""Weight of the squared distance of pixels from [0, 1]."""


class Painting(Params):
    """What is matched, and how: shared by the method and its lenses."""

    style_weight: float = knob(8.0, "style against content", 1e-2, 1e4, log=True, paper=1000.0)
    style_depths: tuple[Depth, ...] = knob(DEPTHS, "depths whose Gram matrices must match")
    content_depth: Depth = knob("4", "depth whose values must match")
    lr: float = knob(0.02, "learning rate", 1e-4, 2.0, log=True, paper=1.0, fold=True)
    smooth: float = knob(10.0, "weight of the total variation", 0.0, 100.0, paper=0.0, fold=True)
    backbone: FeatureNet = knob(
        "squeezenet", "pretrained network; vgg19 needs its weights on disk", paper="vgg19", fold=True
    )
    pooling: Pooling = knob("max", "how the network pools", paper="avg", fold=True)


class StyleParams(Painting):
    """style and content: see `engine.data.pictures`."""

    content: str = knob("chelsea", "picture to keep: a shipped one's name, a file, or any (drawn by the seed)")
    style: str = knob("starry_night", "picture whose manner to take: a shipped one's name, or a file")
    match: Literal["both", "content", "style"] = knob("both", "content alone inverts, style alone makes a texture")
    steps: int = knob(120, "optimiser steps", 1, 10_000, tiny=3, paper=500, unit="steps")
    size: int = knob(160, "height and width", 32, 1024, tiny=32, paper=512, unit="px")
    start: Literal["content", "style", "noise"] = knob("content", "what the canvas shows at first", fold=True)
    optimizer: Literal["adam", "lbfgs"] = knob("adam", "how pixels are moved", paper="lbfgs", fold=True)
    data: str = knob("photos:things", "where the pictures of the page come from", fold=True)


class Canvas(nn.Module):
    """The picture being painted, and the two that it is painted after: (1, 3, size, size) in [0, 1]."""

    content: Tensor
    style: Tensor

    def __init__(self, params: StyleParams, facts: Facts):
        super().__init__()
        self.pixels = nn.Parameter(torch.rand(1, 3, params.size, params.size))
        self.register_buffer("content", torch.zeros_like(self.pixels))
        self.register_buffer("style", torch.zeros_like(self.pixels))

    @property
    def shown(self) -> Tensor:
        return self.pixels.detach().clamp(0, 1)


def objective(pixels: Tensor, target: Target, p: Painting, match: str) -> tuple[Tensor, Report]:
    """The loss, and its parts by name."""
    values = target.at_depths(pixels)
    content, styles = target.content_error(values, p.content_depth), target.style_errors(values)
    style = torch.stack([styles[depth] for depth in p.style_depths]).mean() if p.style_depths else content.new_zeros(())
    loss = p.smooth * total_variation(pixels) + BEYOND * (pixels - pixels.clamp(0, 1)).square().mean()
    if match != "style":
        loss = loss + content
    if match != "content":
        loss = loss + (p.style_weight if match == "both" else 1.0) * style
    parts = {f"style error {depth}": error.detach() for depth, error in styles.items()}
    overall = torch.stack(list(styles.values())).mean().detach()
    return loss, {"loss": loss.detach(), "content error": content.detach(), "style error": overall, **parts}


def begin(model: Canvas, p: StyleParams, bench: Bench) -> None:
    """Hang the two pictures and prime the canvas."""
    content = p.content
    if content == "any":
        shipped = list(names("photos"))
        place = torch.randint(len(shipped), (), generator=bench.generator, device=bench.device)
        content = shipped[int(place)]
    for buffer, name in ((model.content, content), (model.style, p.style)):
        buffer.copy_(picture(name, p.size)[None] / 255)
    noise = torch.rand(model.pixels.shape, generator=bench.generator, device=bench.device)
    starts = {"content": recolour(model.content, model.style), "style": model.style, "noise": noise}
    model.pixels.data.copy_(starts[p.start])


def step_of(optimizer: torch.optim.Optimizer, loss_of: Callable[[], tuple[Tensor, Report]]) -> Report:
    """One step of any optimiser, L-BFGS among them; the parts of the loss before it."""
    told: Report = {}

    def closure() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss, parts = loss_of()
        loss.backward()
        told.update(told or parts)
        return loss.item()

    optimizer.step(closure)
    return told


def train(model: Canvas, p: StyleParams, bench: Bench) -> Iterator[Report]:
    bench.once(lambda: begin(model, p, bench))
    target = Target(p.backbone, p.pooling, model.content, model.style)
    with torch.no_grad():
        baseline = objective(recolour(model.content, model.style), target, p, p.match)[1]["style error"]
    optimizer: torch.optim.Optimizer = (
        torch.optim.Adam([model.pixels], p.lr)
        if p.optimizer == "adam"
        else torch.optim.LBFGS([model.pixels], p.lr, max_iter=1, history_size=10, line_search_fn="strong_wolfe")
    )
    for _ in bench.steps(p.steps, keep=optimizer):
        told = step_of(optimizer, lambda: objective(model.pixels, target, p, p.match))
        yield told | {
            "recoloured content": baseline,
            "content": model.content, "style": model.style, "result": model.shown,
        }  # fmt: skip


class TransferParams(Painting):
    style: str = knob("starry_night", "picture whose manner to take: a shipped one's name, or a file")
    steps: int = knob(100, "optimiser steps", 1, 500, tiny=2, unit="steps")
    start: Literal["content", "style", "noise"] = knob("content", "what the canvas shows at first")
    depth: Depth = knob("2", "depth whose Gram matrices are shown", fold=True)


def transfer(model: Canvas, p: TransferParams, images: Tensor, bench: Bench) -> Iterator[Report]:
    """Paint the given picture anew, and show it as it grows: the canvas, its errors, its Gram matrix."""
    style = picture(p.style, images.shape[-1])[None].to(bench.device) / 255
    target = Target(p.backbone, p.pooling, images, style)
    noise = torch.rand(images.shape, generator=bench.generator, device=bench.device)
    begun = {"content": recolour(images, style), "style": style, "noise": noise}[p.start]
    course: dict[str, list[tuple[int, float]]] = {f"style error {depth}": [] for depth in DEPTHS}
    for step, (pixels, told) in enumerate(paint(begun, target, p, "both", p.steps, shows=20), start=1):
        for name, points in course.items():
            points.append((step * p.steps // 20, float(told[name])))
        shown = {"content": images, "style": style, "result": pixels}
        yield shown | compared(shown, target, p.depth, 24) | {
            name: torch.tensor(points, dtype=torch.float32) for name, points in course.items()
        }  # fmt: skip


class RatiosParams(TransferParams):
    steps: int = knob(60, "optimiser steps for each weight", 1, 500, tiny=2, unit="steps")


TIMES = {"a hundredth": 0.01, "a tenth": 0.1, "as set": 1.0, "tenfold": 10.0}


def ratios(model: Canvas, p: RatiosParams, images: Tensor, bench: Bench) -> Iterator[Report]:
    """The same painting at four weights of the style, one after the other."""
    found: Report = {"content": images} | dict.fromkeys(TIMES, images)
    for name, times in TIMES.items():
        weighed = p.model_copy(update={"style_weight": p.style_weight * times})
        for report in transfer(model, weighed, images, bench):
            found = found | {name: report["result"]}
        yield found


class DepthParams(Params):
    steps: int = knob(60, "optimiser steps for each depth", 1, 500, tiny=2, unit="steps")
    what: Literal["content", "style"] = knob("content", "what a depth knows of the place, or of the manner")
    backbone: FeatureNet = knob("squeezenet", "pretrained network", fold=True)


def depths(model: Canvas, p: DepthParams, images: Tensor, bench: Bench) -> Iterator[Report]:
    """From noise, match the picture at one depth after the other."""
    target = Target(p.backbone, "max", images, images)
    noise = torch.rand(images.shape, generator=bench.generator, device=bench.device)
    found: Report = {"original": images} | {f"depth {depth}": noise for depth in DEPTHS}
    for i, depth in enumerate(DEPTHS):
        painting = Painting(content_depth=depth, style_depths=DEPTHS[: i + 1], smooth=0.1, lr=0.05)
        for pixels, _ in paint(noise, target, painting, p.what, p.steps):
            found = found | {f"depth {depth}": pixels}
        yield found


def paint(
    start: Tensor, target: Target, p: Painting, match: str, steps: int, shows: int = 10
) -> Iterator[tuple[Tensor, Report]]:
    """Adam from `start`; (picture, parts of the loss) at `shows` moments, the last at the end."""
    with torch.enable_grad():
        pixels = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([pixels], p.lr)
        for step in range(steps):
            told = step_of(optimizer, lambda: objective(pixels, target, p, match))
            if (step + 1) * shows // steps > step * shows // steps:
                yield pixels.detach().clamp(0, 1), told


class GramParams(Params):
    depth: Depth = knob("2", "depth of the network")
    channels: int = knob(32, "channels shown, those strongest in the style first", 4, 64)
    backbone: FeatureNet = knob("squeezenet", "pretrained network", fold=True)


def grams(model: Canvas, p: GramParams, images: Tensor | None, bench: Bench) -> Report:
    """The Gram matrices of the three pictures of a run."""
    shown = {"content": model.content, "style": model.style, "result": model.shown}
    return shown | compared(shown, Target(p.backbone, "max", model.content, model.style), p.depth, p.channels)


@torch.no_grad()
def compared(pictures: Report, target: Target, depth: Depth, channels: int) -> Report:
    """Gram matrices of pictures, their channels in one order, the style's strongest first, over the style's largest."""
    wanted = target.grams[depth][0]
    order = wanted.diagonal().argsort(descending=True)[:channels]
    found = {name: gram(target.at_depths(one)[depth])[0] for name, one in pictures.items()}
    return {f"{name} Gram": one[order][:, order] / wanted.max() for name, one in found.items()}


BY_DEPTH = Curves(tuple(f"style error {depth}" for depth in DEPTHS), "Gram error by depth; 0 is the style itself.")
GRAMS = Matrix(
    ("content Gram", "style Gram", "result Gram"),
    "Bright: two channels fire together. The result's looks like the style's, not the content's.",
)

METHOD = Method(
    params=StyleParams,
    build=Canvas,
    train=train,
    exhibits=(
        Pictures(("content", "style", "result"), "The result keeps what the content shows, painted as the style is."),
        Curves(("content error", "style error"), "The style error falls while the content gives way a little."),
        BY_DEPTH,
    ),
    lenses=(
        Lens(
            "Transfer", TransferParams, transfer,
            (
                Pictures(("content", "style", "result"), "The picture, painted anew while you watch."),
                BY_DEPTH, GRAMS,
            ),
            "Paint your own picture in another manner; weigh style against content.", takes="image", long=True,
        ),
        Lens(
            "Gram matrices", GramParams, grams,
            (
                Pictures(("content", "style", "result"), "The three pictures."),
                GRAMS,
            ),
            "What style is to the network: which channels fire together.", takes="nothing",
        ),
        Lens(
            "Ratios", RatiosParams, ratios,
            (Pictures(("content", *TIMES), "To the right the style weighs more: parts of the weight that is set."),),
            "One picture at four ratios of style and content.", takes="image", long=True,
        ),
        Lens(
            "Depths", DepthParams, depths,
            (Pictures(("original", *(f"depth {depth}" for depth in DEPTHS)),
                      "The deeper the layer, the less it knows of exact pixels."),),
            "Rebuild a picture from what a single depth still knows of it.", takes="image", long=True,
        ),
    ),
    claim=Claim(
        "Style lives in the correlations of several depths: matching all five brings the Gram matrices of every depth "
        "close to the painting's, matching the first alone (colours and fine grain) leaves the deeper ones far. "
        "Measured as the mean relative Gram error over the five depths, on photographs drawn by the seed.",
        figure="style error",
        arms={"five depths": {"content": "any"}, "first depth only": {"content": "any", "style_depths": ("1",)}},
        baseline="recoloured content",
        higher=False,
    ),
)  # fmt: skip
