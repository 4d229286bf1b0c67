"""Where several answers to one picture come from: passes with dropout on, networks of an ensemble, views of it.

Whatever the source, what it says is p_t (B, T, classes), or (B, T, classes, H, W) of a network that answers pixel by
pixel, and the same lenses read it. A source is asked once, for as many answers as a slider may want.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from engine.augment.slight import slight
from engine.bench import Bench
from engine.data.base import VOID, Batch
from engine.data.strangers import strangers
from engine.data.subset import labels_in, spread
from engine.lenses.classifier import Classifies
from engine.method import Params, knob
from engine.metrics.answers import answers
from engine.metrics.running import Running, after, running
from engine.ops.dropout import dropouts, samples

Kind = Literal["passes", "networks", "views"]
MOST: dict[Kind, int] = {"passes": 32, "networks": 50, "views": 16}
"""Answers that the sliders reach."""
PORTION = 2**20
"""Pixels that a network is asked at once."""
FEWER, APART = 32, 2
"""Where each pixel is an answer, of so many test pictures one is asked, and of its pixels every so manyth is judged."""
LARGEST_DROPOUT = 0.95


class PassesParams(Params):
    passes: int = knob(20, "passes with dropout on that count; dragging asks the network nothing anew", 1, 32, tiny=3)
    dropout: float = knob(1.0, "dropout, times what it learned with; 0: all passes agree", 0.0, 1.8, unit="x",
                          fold=True)  # fmt: skip


class NetworksParams(Params):
    networks: int = knob(50, "networks that count; beyond the last: all", 1, 50)


class ViewsParams(Params):
    views: int = knob(16, "views that count: as it is, mirrored, then nearer and moved", 1, 16)


KNOBS: dict[Kind, type[Params]] = {"passes": PassesParams, "networks": NetworksParams, "views": ViewsParams}


def with_source(knobs: type[Params], kind: Kind) -> type[Params]:
    """The knobs of a lens, after those of where its answers come from."""
    return type(knobs.__name__, (knobs, KNOBS[kind]), {"__module__": knobs.__module__, "__doc__": knobs.__doc__})


def ends(kind: Kind, model: Any, images: Tensor | None) -> dict[str, int]:
    """How many answers there are, where the model has so many and no more."""
    return {"networks": model.nets.count} if kind == "networks" else {}


def count_of(kind: Kind, p: Any) -> int:
    """How many answers are to count."""
    return getattr(p, kind)


@torch.no_grad()
def ask(kind: Kind, model: Any, images: Tensor, most: int = 0, times: float = 1.0) -> Tensor:
    """p_t: (B, T, classes, ...), the same every time. most: T, `MOST` by default; networks answer all.

    times: dropout, as a multiple of that in training.
    """
    most = most or MOST[kind]
    if kind == "networks":
        return model.ask(images)
    if kind == "views":
        return torch.cat([_views(model, part, most) for part in parts(images, most)])
    share = min(LARGEST_DROPOUT, times * max(module.p for module in dropouts(model.net)))
    generator = torch.Generator().manual_seed(0)
    return torch.cat([samples(model.net, part, most, generator, share) for part in parts(images)]).softmax(dim=2)


def _views(model: nn.Module, images: Tensor, most: int) -> Tensor:
    """The answers to views. Pixels are answered as they are and mirrored: in others they would not stay in place."""
    seen = slight(images, most)
    first = model(seen[:, 0]).float()
    if first.ndim > 2:
        return torch.stack([first, model(seen[:, 1]).float().flip(-1)], dim=1)[:, :most].softmax(dim=2)
    others = [model(seen[:, i]).float() for i in range(1, most)]
    return torch.stack([first, *others], dim=1).softmax(dim=2)


def parts(images: Tensor, each: int = 1) -> tuple[Tensor, ...]:
    """The images in portions that fit into memory, when `each` is asked in so many ways at once."""
    return images.split(max(1, PORTION // (each * images[0, 0].numel())))


def once(kind: Kind, model: Any, images: Tensor) -> Tensor:
    """p (B, classes, ...): a single answer: with dropout off, of the first network, or to the picture as it is."""
    if kind == "networks":
        return model.ask(images)[:, 0]
    return answers(model, (Batch(part, torch.arange(len(part))) for part in parts(images))).softmax(dim=1)


def told(kind: Kind, model: Any, p: Any, images: Tensor, bench: Bench) -> Running:
    """What the model says of the pictures at hand after 1, 2, ... answers. It is asked once."""
    times = getattr(p, "dropout", 1.0)
    return bench.recall(lambda: running(ask(kind, model, images, times=times)), "told", kind, times, images)


@dataclass(frozen=True)
class Known:
    """Test pictures, what they show, and what is said of them. truth (N,) or (N, h, w); alone (N, classes, ...)."""

    images: Tensor
    truth: Tensor
    found: Running
    alone: Tensor

    def after(self, count: int) -> Running:
        return after(self.found, count)


def known(kind: Kind, model: Any, p: Any, count: int, bench: Bench) -> Known:
    """`count` test pictures of the data that the model learned from; fewer where each pixel is an answer.

    ValueError when it has none.
    """
    times = getattr(p, "dropout", 1.0)

    def work() -> dict[str, Any]:
        batch = test_pictures(model, count, bench)
        given = ask(kind, model, batch.images, times=times), once(kind, model, batch.images), truth_of(model, batch)
        several, alone, truth = (each[..., ::APART, ::APART] if pixelwise(model) else each for each in given)
        return {"images": batch.images, "truth": truth, "found": running(several), "alone": alone}

    return Known(**bench.recall(work, "known", kind, times, count))


def test_pictures(model: Any, count: int, bench: Bench) -> Batch:
    """Test pictures evenly spread over the set that the model learned from. ValueError when it names no such set."""
    data, size = data_of(model)
    opened = bench.data(data, "test", size) if data else None
    if opened is None or not opened.facts.classes:
        raise ValueError("this network comes without labelled test pictures, so nobody can say where it is right; "
                         "choose a lens for your own pictures, or a model that was trained here")  # fmt: skip
    count = max(2, count // FEWER) if pixelwise(model) else count
    test = spread(opened, count)
    return test.batch(torch.arange(len(test))).to(bench.device)


def unlike(model: Any, spec: str, count: int, bench: Bench) -> Tensor:
    """Pictures of another set, fitted to what the model takes; as many as `test_pictures` at most."""
    count = max(2, count // FEWER) if pixelwise(model) else count
    return strangers(bench.data(spec, "test"), model.facts, count).to(bench.device)


def data_of(model: Any) -> tuple[str, int | None]:
    """What the model learned from, by name, and the size at which (None: as it comes)."""
    if isinstance(model, Classifies):
        return model.data, model.facts.size
    return model.params.data, getattr(model.params, "size", None)


def pixelwise(model: Any) -> bool:
    """Whether each pixel is an answer."""
    return bool(getattr(model, "segments", False))


def truth_of(model: Any, batch: Batch) -> Tensor:
    """(B,) or (B, H, W) int64."""
    return getattr(model, "truth", labels_in)(batch)


def names_of(model: Any) -> tuple[str, ...]:
    """What the answers are called."""
    return getattr(model, "classes", model.facts.classes)


def errors(mean: Tensor, truth: Tensor) -> Tensor:
    """The share (B,) float64 of wrong answers in each picture: 0 or 1, or of its pixels; VOID does not count."""
    counted = (truth != VOID).flatten(1) if truth.ndim > 1 else truth[:, None] >= 0
    wrong = (mean.argmax(dim=1) != truth).reshape(len(truth), -1) & counted
    return wrong.double().sum(dim=1) / counted.sum(dim=1).clamp(min=1)


def said(model: Any, mean: Tensor) -> list[str]:
    """What is answered, in words: the class and how sure; of pixels, the things that are seen."""
    names = names_of(model)
    if mean.ndim == 2:
        return [f"{names[c]} {sure:.0%}" for sure, c in _rows(*mean.max(dim=1))]
    things = [name for name in names if name not in ("background", "ground")]
    share = torch.nn.functional.one_hot(mean.argmax(dim=1).flatten(1), len(names)).float().mean(dim=1)
    seen = [[name for name, part in zip(names, row, strict=True) if name in things and part >= 0.01]
            for row in share.tolist()]  # fmt: skip
    return [", ".join(row) or "nothing" for row in seen]


def _rows(*columns: Tensor) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.tolist() for column in columns), strict=True)
