"""Lenses for networks that turn pictures into features: what lies near what, and how two views are matched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from engine.bench import Bench
from engine.data.base import Facts
from engine.data.subset import spread
from engine.method import Bars, Histogram, Lens, Matrix, Params, Pictures, Report, Scatter, Table, knob
from engine.metrics.embedding import principal_components
from engine.metrics.neighbours import NEAREST, PIXELS, embed_all, most_alike


class Featured(Protocol):
    """A model with features before its head, and what the head makes of them."""

    facts: Facts
    params: Any

    def features(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] -> features (B, D): what is used afterwards."""

    def project(self, images: Tensor) -> Tensor:
        """What the loss compares: (B, dim)."""


class Paired(Featured, Protocol):
    """One that learned from two views of a picture."""

    def view(self, images: Tensor, generator: Generator) -> Tensor:
        """A random view of each picture, as in training."""


class NeighboursParams(Params):
    by: Literal["features", "pixels"] = knob("features", "what makes pictures alike: the network's features, or pixels")
    bank: int = knob(2000, "pictures that are searched", 5, 100_000, tiny=20)
    data: str = knob("", "where they come from; empty: what the network was trained on", fold=True)


def neighbours(model: Featured, params: NeighboursParams, images: Tensor, bench: Bench) -> Report:
    """The most similar training pictures of each picture."""
    data = spread(bench.data(params.data or model.params.data, "train", model.facts.size), params.bank)
    return most_alike(model.features if params.by == "features" else PIXELS, images, data, bench.chunks(data))


NEIGHBOURS = Lens(
    "Neighbours", NeighboursParams, neighbours,
    (
        Pictures(("query", *NEAREST), "Your pictures, and what is most similar among the training pictures."),
        Table(("number", "classes_found", "similarity"), "The classes of what was found, and its mean cosine."),
    ),
    "What the network takes for alike, without having seen a label.",
)  # fmt: skip


class MapParams(Params):
    by: Literal["features", "head", "pixels"] = knob("features", "before the head, after it, or no network at all")
    count: int = knob(500, "test pictures", 10, 5000, tiny=20)
    across: int = knob(1, "principal component from left to right", 1, 8)
    up: int = knob(2, "principal component upwards", 1, 8)
    data: str = knob("", "where they come from; empty: what the network was trained on", fold=True)


@torch.no_grad()
def plane(model: Featured, params: MapParams, images: None, bench: Bench) -> Report:
    """Test pictures in the plane of two principal components of their unit features."""
    data = spread(bench.data(params.data or model.params.data, "test", model.facts.size), params.count)
    ways: dict[str, Callable[[Tensor], Tensor]] = {"features": model.features, "head": model.project, "pixels": PIXELS}
    batches = list(bench.chunks(data))
    features, labels = embed_all(ways[params.by], batches)
    places, share = principal_components(F.normalize(features, dim=1))
    return {
        "map": places[:, [params.across - 1, params.up - 1]], "label": labels, "classes": data.facts.classes,
        "thumbnails": torch.cat([batch.images for batch in batches]),
        "share": share[:8], "component": [str(place) for place in range(1, 1 + len(share[:8]))],
    }  # fmt: skip


MAP = Lens(
    "Map", MapParams, plane,
    (
        Scatter(("map", "label", "thumbnails"), "Test pictures by two principal components, coloured by a class that "
                "training never saw."),
        Bars(("share", "component"), "Share of the variance along each component: one long bar is collapse."),
    ),
    "Where test pictures lie: do classes gather although nobody named them?", takes="nothing",
)  # fmt: skip


class PairsParams(Params):
    temperature: float = knob(0.2, "softmax temperature", 0.01, 1.0, log=True)
    seed: int = knob(0, "other views", 0, 9999)


@torch.no_grad()
def pairs(model: Paired, params: PairsParams, images: Tensor, bench: Bench) -> Report:
    """The task itself: two views of each picture, and how surely each finds its partner among all the others."""
    generator = torch.Generator(bench.device).manual_seed(params.seed)
    one, two = model.view(images, generator), model.view(images, generator)
    unit = F.normalize(model.project(torch.cat((one, two))).float(), dim=1)
    similarity = unit @ unit.T
    among = (similarity / params.temperature).fill_diagonal_(float("-inf")).softmax(dim=1)
    partner = torch.arange(len(unit), device=unit.device).roll(len(images))
    others = ~torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    others[torch.arange(len(unit)), partner] = False
    sure = among.gather(1, partner[:, None])[:, 0]
    ahead = (similarity.masked_fill(~others, -2) > similarity.gather(1, partner[:, None])).sum(dim=1)
    return {
        "one": one, "two": two, "similarity": similarity[: len(images), len(images) :],
        "partners": similarity.gather(1, partner[:, None])[:, 0], "strangers": similarity[others],
        "number": torch.arange(1, len(images) + 1), "probability": sure[: len(images)],
        "views_ahead": ahead[: len(images)],
    }  # fmt: skip


PAIRS = Lens(
    "Pairs", PairsParams, pairs,
    (
        Pictures(("one", "two"), "Two random views of each picture."),
        Matrix(("similarity",), "Cosine of first (rows) and second views (columns): the diagonal is to win."),
        Histogram(("partners", "strangers"), "Similarity to the own partner, and to views of other pictures."),
        Table(("number", "probability", "views_ahead"), "How sure each first view is of its partner, and how many "
              "views of other pictures come before it: 0 is a task solved."),
    ),
    "Play the training task with your pictures: which of them are hard to tell apart?",
)  # fmt: skip
