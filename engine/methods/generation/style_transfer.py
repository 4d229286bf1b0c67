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

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from engine.bench import Bench
from engine.data.base import Facts
from engine.data.pictures import names, picture
from engine.lenses.instant import INSTANT
from engine.lenses.painting import BY_DEPTH, DEPTHS_ALONE, GRAMS, RATIOS, TRANSFER
from engine.method import Claim, Curves, Method, Pictures, Report, knob
from engine.nets.perceptual import Match, Painting, Start, Target, mover, objective, primed, step_of
from engine.nets.pretrained import FeatureNet
from engine.ops.colour import recolour


class StyleParams(Painting):
    """style and content: see `engine.data.pictures`."""

    content: str = knob("chelsea", "picture to keep: a shipped one's name, a file, or any (drawn by the seed)")
    style: str = knob("starry_night", "picture whose manner to take: a shipped one's name, or a file")
    match: Match = knob("both", "content alone inverts, style alone makes a texture")
    steps: int = knob(120, "optimiser steps", 1, 10_000, tiny=3, paper=500, unit="steps")
    size: int = knob(160, "height and width", 32, 1024, tiny=32, paper=512, unit="px")
    start: Start = knob("content", "what the canvas shows at first", fold=True)
    backbone: FeatureNet = knob(
        "squeezenet", "pretrained network; vgg19 needs its weights on disk", paper="vgg19", fold=True
    )
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


def begin(model: Canvas, p: StyleParams, bench: Bench) -> None:
    """Hang the two pictures and prime the canvas."""
    content = p.content
    if content == "any":
        shipped = list(names("photos"))
        place = torch.randint(len(shipped), (), generator=bench.generator, device=bench.device)
        content = shipped[int(place)]
    for buffer, name in ((model.content, content), (model.style, p.style)):
        buffer.copy_(picture(name, p.size)[None] / 255)
    model.pixels.data.copy_(primed(p.start, model.content, model.style, bench.generator))


def train(model: Canvas, p: StyleParams, bench: Bench) -> Iterator[Report]:
    bench.once(lambda: begin(model, p, bench))
    target = Target(p.backbone, p.pooling, model.content, model.style)
    with torch.no_grad():
        baseline = objective(recolour(model.content, model.style), target, p, p.match)[1]["style error"]
    optimizer = mover(model.pixels, p)
    for _ in bench.steps(p.steps, keep=optimizer):
        told = step_of(optimizer, lambda: objective(model.pixels, target, p, p.match))
        yield told | {
            "recoloured content": baseline,
            "content": model.content, "style": model.style, "result": model.shown,
        }  # fmt: skip


METHOD = Method(
    params=StyleParams,
    build=Canvas,
    train=train,
    exhibits=(
        Pictures(("content", "style", "result"), "The result keeps what the content shows, painted as the style is."),
        Curves(("content error", "style error"), "The style error falls while the content gives way a little."),
        BY_DEPTH,
    ),
    lenses=(TRANSFER, INSTANT, RATIOS, GRAMS, DEPTHS_ALONE),
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
