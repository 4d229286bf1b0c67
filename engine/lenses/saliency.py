"""Where a classifier looks: hide each part of a picture in turn, or ask for the slope of its answer in every pixel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from engine.bench import Bench
from engine.lenses.classifier import Classifies
from engine.method import Lens, Overlay, Params, Report, Table, knob

Fill = Literal["grey", "black", "mean"]
PORTION = 64


@torch.no_grad()
def occlusion(model: Callable[[Tensor], Tensor], image: Tensor, label: int, cells: int, fill: Fill = "grey") -> Tensor:
    """By how much the probability of a label falls when each of cells x cells parts of the image is hidden.

    image (1, C, H, W); returns (cells, cells), negative where hiding helps. Part (r, c) are the rows from round(r H /
    cells) and the columns from round(c W / cells): every pixel is in exactly one. ValueError when there are more cells
    than pixels.
    """
    down, across = (edges(side, cells) for side in image.shape[-2:])
    colour = {"grey": image.new_tensor(0.5), "black": image.new_tensor(0.0),
              "mean": image.mean(dim=(2, 3), keepdim=True)[0]}[fill]  # fmt: skip
    hidden = image.repeat(cells * cells, 1, 1, 1)
    for r in range(cells):
        for c in range(cells):
            hidden[r * cells + c, :, down[r] : down[r + 1], across[c] : across[c + 1]] = colour
    whole = model(image).softmax(dim=1)[0, label]
    left = torch.cat([model(part).softmax(dim=1)[:, label] for part in hidden.split(PORTION)])
    return (whole - left).view(cells, cells)


def edges(side: int, cells: int) -> list[int]:
    """Where the parts of a side begin, and its end."""
    if not 1 <= cells <= side:
        raise ValueError(f"cells: a side of {side} pixels has 1 to {side} cells, got {cells}")
    return [round(i * side / cells) for i in range(cells + 1)]


def over_pixels(grid: Tensor, height: int, width: int) -> Tensor:
    """(cells, cells) -> (1, H, W): each pixel has the value of its part."""
    cells = len(grid)
    rows, columns = (torch.tensor(edges(side, cells)).diff().to(grid.device) for side in (height, width))
    return grid.repeat_interleave(rows, dim=0).repeat_interleave(columns, dim=1)[None]


def input_gradient(model: Callable[[Tensor], Tensor], image: Tensor, label: int) -> Tensor:
    """(1, H, W): the size of the slope of a label's log probability in each pixel, summed over its channels.

    Simonyan, Vedaldi, Zisserman. ICLR 2014 workshop. arXiv:1312.6034
    """
    with torch.enable_grad():
        pixels = image.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(model(pixels).log_softmax(dim=1)[0, label], pixels)
    return slope.abs().sum(dim=1)


class WhereParams(Params):
    cells: int = knob(8, "parts along each side that are hidden in turn; all of them squared are as many passes", 2, 16)
    fill: Fill = knob("grey", "what stands in place of the hidden part")


def look_where(model: Classifies, params: WhereParams, images: Tensor, bench: Bench) -> Report:
    """What the first answer hangs on: hidden parts, and slopes."""
    with torch.no_grad():
        chance, first = model(images).softmax(dim=1)[0].max(dim=0)
    label, cells = int(first), min(params.cells, *images.shape[-2:])
    falls = bench.recall(lambda: occlusion(model, images, label, cells, params.fill), "hidden", images, cells,
                         params.fill)  # fmt: skip
    slope = bench.recall(lambda: input_gradient(model, images, label), "slope", images)
    most = int(falls.argmax())
    said = f"{model.classes[label]}, {float(chance):.0%}. "
    said += (f"Hiding one part, in row {most // cells + 1} and column {most % cells + 1}, leaves "
             f"{float(chance - falls.max()):.0%}.")  # fmt: skip
    height, width = images.shape[-2:]
    return {"picture": images.expand(-1, 3, -1, -1), "falls_when_hidden": over_pixels(falls, height, width),
            "slope": slope, "in_words": [said]}  # fmt: skip


WHERE = Lens(
    "Where?", WhereParams, look_where,
    (
        Table(("in_words",), "What the network calls the picture, and which part it needs most."),
        Overlay(("picture", "falls_when_hidden"), "By how much its answer loses in probability when a part is hidden; "
                "below 0 hiding helps."),
        Overlay(("picture", "slope"), "How steeply the answer depends on each pixel: noisier, and it costs one pass "
                "back."),
    ),
    "What does the answer hang on? Hide every part of the picture in turn.",
    takes="image",
)  # fmt: skip
