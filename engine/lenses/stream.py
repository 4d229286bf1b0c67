"""Lenses for networks that learn from a stream: what comes along in it, and which prototypes went to what."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from engine.bench import Bench
from engine.data.base import Facts
from engine.data.stream import COUNT, FLOOR, KINDS, MOST_NOISE, draw, expected
from engine.data.subset import labels_of, spread
from engine.method import Bars, Lens, Params, Pictures, Report, knob
from engine.metrics.owners import owners

ROW = tuple(f"picture {place}" for place in range(1, 7))


class StreamParams(Params):
    tail: float = knob(1.5, "exponent of Zipf's law: 0 is as many of each garment", 0.0, 4.0)
    noise: float = knob(0.2, "share of what is no garment", 0.0, MOST_NOISE)
    count: int = knob(2000, "pictures that are drawn", 1200, COUNT, tiny=1200)
    seed: int = knob(0, "other draws", 0, 9999)


def stream(model: object, params: StreamParams, images: None, bench: Bench) -> Report:
    """A stream such as the network learned from, or another: how many pictures of each kind come, and a few of each."""
    drawn, kinds = draw(params.tail, params.noise, params.seed, params.count)
    counts = torch.bincount(kinds, minlength=len(KINDS))
    first = [(kinds == kind).nonzero()[: len(ROW), 0] for kind in range(len(KINDS))]
    blank = torch.zeros_like(drawn[:1])
    rows = [torch.cat((drawn[some], blank.expand(len(ROW) - len(some), -1, -1, -1))) for some in first]
    return {
        "expected": expected(params.tail, params.noise, params.count).float(), "drawn": counts.float(),
        "kind": list(KINDS),
        **{name: torch.stack([row[place] for row in rows]).float() / 255 for place, name in enumerate(ROW)},
    }  # fmt: skip


STREAM = Lens(
    "Stream", StreamParams, stream,
    (
        Bars(("expected", "drawn", "kind"), "Pictures of each kind: what the law says, and what the dice gave. Every "
             f"garment may expect {FLOOR} at least."),
        Pictures(ROW, "A row a kind, in the same order; black where too few came. The last four are no garments: "
                 "glyphs, texture, the same few garments again and again, garments in the wrong polarity."),
    ),
    "What does one get who does not choose?", takes="nothing",
)  # fmt: skip


class Grouping(Protocol):
    """A model that compares pictures with prototypes."""

    facts: Facts
    params: Any

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) -> scores (B, K), the higher the nearer to a prototype."""


class OwnersParams(Params):
    bank: int = knob(5000, "pictures that are sorted", 10, 100_000, tiny=60)
    data: str = knob("", "where they come from; empty: what the network was trained on", fold=True)


@torch.no_grad()
def owned(model: Grouping, params: OwnersParams, images: None, bench: Bench) -> Report:
    """Each kind's share of pictures, and of the prototypes that mostly gather it."""
    data = spread(bench.data(params.data or model.params.data, "train", model.facts.size), params.bank)
    names = list(data.facts.classes)
    if not names:
        raise ValueError("data: these pictures have no classes, so that nobody knows what a prototype gathers; choose "
                         "stream or garments")  # fmt: skip
    scores = torch.cat([model(batch.images) for batch in bench.chunks(data)])
    pictures, prototypes = owners(scores, labels_of(data).to(scores.device), len(names))
    return {"of pictures": pictures, "of prototypes": prototypes, "kind": names}


OWNERS = Lens(
    "What prototypes went to", OwnersParams, owned,
    (
        Bars(("of pictures", "of prototypes", "kind"), "Each kind's share of the pictures, and of the prototypes that "
             "mostly gather it. Each prototype is to get as many pictures: so what is common is split into many, and "
             "what is rare shares one with something else and has none of its own."),
    ),
    "Do prototypes go to what is common?", takes="nothing",
)  # fmt: skip
