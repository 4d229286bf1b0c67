"""A picture in 26 manners at once, without a painting being optimised: one pass of a network that learned them."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.bench import Bench
from engine.lenses.painting import WIDE, at_size
from engine.method import Lens, Params, Pictures, Report, knob
from engine.nets.manners import MANNERS, Manners, mixed

SMALL = 96
"""Pixels a side of the picture in each manner."""


class InstantParams(Params):
    manner: int = knob(20, "one of the network's manners, as numbered below", 1, MANNERS)
    other: int = knob(2, "another one", 1, MANNERS)
    share: float = knob(0.0, "of the other manner in the mixture: only scales and shifts are mixed", 0.0, 1.0)
    size: int = knob(256, "height and width of the painting: strokes keep their width", 64, WIDE, tiny=64, unit="px",
                     log=True)  # fmt: skip


@torch.no_grad()
def instant(model: object, p: InstantParams, images: Tensor, bench: Bench) -> Report:
    """The picture in a manner or between two, and small in each of them."""
    net = bench.recall(lambda: Manners().to(bench.device), "manners")
    picture, small = at_size(images, p.size), at_size(images, SMALL)

    def each() -> Tensor:
        return net(small.expand(MANNERS, -1, -1, -1), torch.eye(MANNERS, device=small.device))

    return {
        "picture": picture,
        "painted": net(picture, mixed(p.manner - 1, p.other - 1, p.share).to(picture.device)),
        "manners": bench.recall(each, "each manner", images),
        "number": [str(number) for number in range(1, MANNERS + 1)],
    }


INSTANT = Lens(
    "Instant", InstantParams, instant,
    (
        Pictures(("picture", "painted"), "One pass, nothing is optimised. The network learned its manners beforehand, "
                 "and can paint in no other."),
        Pictures(("manners",), "Its manners. All share their convolutions; each has but 990 numbers of its own, a "
                 "scale and a shift of every normalised channel.", under=("number",)),
    ),
    "Painted in a moment, by a network that knows 26 manners: mix two of them.", takes="image", wide=WIDE,
)  # fmt: skip
