"""What a network's frozen features are worth to a linear reader: by what is read, layer by layer, label by label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from engine.bench import Bench
from engine.data.base import Dataset, Facts
from engine.data.subset import balanced, labels_of, part, spread
from engine.method import Bars, Curves, Lens, Params, Report, knob
from engine.metrics.classification import accuracy
from engine.metrics.neighbours import PIXELS, shared_classes
from engine.metrics.readers import linear_probe
from engine.nets.masked_vit import MaskedViT
from engine.nets.resnet import SmallResNet

COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Labelled pictures of each class at which the curve is measured."""
UNTRAINED = "random weights"


class Probed(Protocol):
    """A model with features; params has the set it learned from, `data`, and the side of its pictures, `size`."""

    params: Any

    def features(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] -> features (B, D): what is used afterwards."""


def layers(model: Any, images: Tensor) -> dict[str, dict[str, Tensor]]:
    """What can be read of images: way -> layer -> (B, D), the layers from the pictures on; the last is the way itself.

    Ways: "features"; "class token" of a transformer; "after the head" where there is one; "pixels". A network whose
    layers are not known here has its last alone.
    """
    found: dict[str, dict[str, Tensor]] = {"features": {}}
    pixels = {"pixels": {"pixels": PIXELS(images)}}
    if isinstance(model, MaskedViT):
        tokens = model.with_class(model.embed(model.normalise(images)))
        steps = {"patches": tokens}
        for place, block in enumerate(model.blocks, 1):
            steps[f"block {place}"] = tokens = block(tokens)
        steps["normalised"] = model.norm(tokens)
        found["features"] = {name: each[:, 1:].mean(dim=1) for name, each in steps.items()}
        found["class token"] = {name: each[:, 0] for name, each in steps.items()}
        return found | pixels
    net = next((each for each in model.modules() if isinstance(each, SmallResNet)), None)
    if net is not None:
        maps = net.stem(images)
        found["features"]["stem"] = maps.mean(dim=(2, 3))
        for place, block in enumerate(net.blocks, 1):
            maps = block(maps)
            found["features"][f"block {place}"] = maps.mean(dim=(2, 3))
    else:
        found["features"]["features"] = model.features(images)
    if hasattr(model, "project"):
        found["after the head"] = {"head": model.project(images)}
    return found | pixels


def untrained(model: Probed, facts: Facts, seed: int) -> Any:
    """The same network as it is before training, in eval mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = type(model)(model.params, facts)  # type: ignore[call-arg]
    return fresh.to(next(iter(model.parameters())).device).eval()  # type: ignore[attr-defined]


def sets(model: Any, spec: str, bench: Bench) -> tuple[Dataset, Dataset]:
    """Training and test pictures, at the model's size. ValueError when their labels or channels are not to be read."""
    name = spec or model.params.data
    data, test = (bench.data(name, split, model.params.size) for split in ("train", "test"))
    if shared_classes(data, test) < 2:
        raise ValueError(
            f"data: training and test pictures of {name} share no classes; choose another set for the lens"
        )
    takes = len(model.normalise.mean) if isinstance(model, MaskedViT) else model.facts.channels
    if data.facts.channels != takes:
        raise ValueError(f"data: {name} has {data.facts.channels} channels, the network takes {takes}; choose alike")
    return data, test


def chosen(data: Dataset, count: int, seed: int) -> Tensor:
    """Positions of `count` labelled pictures of each class, as far as there are; those of fewer are among them."""
    labels = labels_of(data)
    most = min(count * len(data.facts.classes), int((labels >= 0).sum()))
    return balanced(labels, most, torch.Generator().manual_seed(seed))


@torch.no_grad()
def described(model: Any, data: Dataset, bench: Bench) -> dict[str, dict[str, Tensor]]:
    """`layers` of a whole set, in float32."""
    parts = [layers(model, batch.images) for batch in bench.chunks(data)]
    return {
        way: {name: torch.cat([each[way][name].float() for each in parts]) for name in found}
        for way, found in parts[0].items()
    }


class Reader:
    """Linear probes on one model's frozen features; each is fitted once and recalled."""

    def __init__(self, model: Any, data: str, seed: int, most: int, asked: int, bench: Bench):
        """most: labelled pictures of each class, at most; probes at fewer share their features. asked: test pictures
        that are read."""
        self.bench, self.seed = bench, seed
        train, test = sets(model, data, bench)
        self.train, self.test = train, spread(test, asked)
        self.classes, self.key = len(train.facts.classes), (data, seed, most, asked)
        self.known = chosen(train, most, seed)
        self.labels = labels_of(train)[self.known].to(bench.device)
        self.truth = labels_of(self.test).to(bench.device)
        networks = {"": model, UNTRAINED: untrained(model, train.facts, seed)}
        self.found = {
            name: bench.recall(lambda net=net: self._both(net), "described", name, *self.key)  # type: ignore[misc]
            for name, net in networks.items()
        }

    def _both(self, net: Any) -> list[dict[str, dict[str, Tensor]]]:
        return [described(net, data, self.bench) for data in (part(self.train, self.known), self.test)]

    def right(self, way: str, layer: str, count: int, strength: float, network: str = "") -> float:
        """Share of test pictures that a probe on `count` labels of each class gets right."""

        def work() -> float:
            rows = torch.isin(self.known, chosen(self.train, count, self.seed)).to(self.bench.device)
            known, asked = (each[way][layer] for each in self.found[network])
            probe = linear_probe(known[rows], self.labels[rows], self.classes, strength)
            return accuracy(probe(asked).argmax(dim=1), self.truth).item()

        return self.bench.recall(work, "probe", way, layer, count, strength, network, *self.key)

    def last(self, way: str) -> str:
        """The last layer of a way: itself."""
        return list(self.found[""][0][way])[-1]


class ProbeParams(Params):
    by: Literal["features", "after the head", "pixels"] = knob("features", "what is read, layer by layer")
    labels: int = knob(20, "labelled pictures of each class that the reader learns from", 1, 1000, tiny=2, log=True)
    strength: float = knob(0.1, "how freely its weights may grow (scikit-learn's C)", 1e-4, 1e3, log=True)
    seed: int = knob(0, "other labelled pictures", 0, 9999)
    most: int = knob(200, "labels of each class up to which the curve goes", 1, 1000, tiny=2, fold=True)
    asked: int = knob(2000, "test pictures that are read", 10, 100_000, tiny=50, fold=True)
    data: str = knob("", "labelled pictures; empty: what the network was trained on", fold=True)


class TokenProbeParams(ProbeParams):
    by: Literal["features", "class token", "pixels"] = knob(  # type: ignore[assignment]
        "features", "what is read: the mean over the patches, the class token, or no network at all"
    )


def look_probe(model: Probed, p: ProbeParams, images: None, bench: Bench) -> Iterator[Report]:
    """Logistic regression on standardised frozen features: at one number of labels by way and by layer, then the curve
    over that number, point by point."""
    reader = Reader(model, p.data, p.seed, max(p.labels, p.most), p.asked, bench)
    at = {way: ("", way, reader.last(way)) for way in reader.found[""][0]}
    at[UNTRAINED] = (UNTRAINED, "features", reader.last("features"))

    def right(name: str, count: int) -> float:
        network, way, layer = at[name]
        return reader.right(way, layer, count, p.strength, network)

    by_layer = {layer: reader.right(p.by, layer, p.labels, p.strength) for layer in reader.found[""][0][p.by]}
    first: Report = {
        "share right": torch.tensor([right(name, p.labels) for name in at]), "what is read": list(at),
        "right by layer": torch.tensor(list(by_layer.values())), "layer": list(by_layer), "labels": p.labels,
    }  # fmt: skip
    available = int(torch.bincount(labels_of(reader.train).clamp(min=0)).max())
    points: dict[str, list[tuple[float, float]]] = {name: [] for name in at}
    for count in (each for each in COUNTS if each <= min(available, p.most)):
        for name, course in points.items():
            course.append((count, right(name, count)))
        yield first | {name: torch.tensor(course) for name, course in points.items()}


def probe(params: type[ProbeParams], second: str) -> Lens:
    """The lens for networks that have, beside features, the way called `second`."""
    return Lens(
        "Linear probe", params, look_probe,
        (
            Bars(("share right", "what is read"), "Share right of test pictures by a linear reader of frozen features, "
                 "at the chosen number of labels; beside the same network before training, and plain pixels."),
            Curves(("features", second, "pixels", UNTRAINED), "The same over labels of each class. Where lines cross, "
                   "learned features have stopped paying.", over="labels a class", mark="labels"),
            Bars(("right by layer", "layer"), "Read after each layer instead: where does the network know the class?"),
        ),
        "Freeze the network and let a logistic regression read its features: how far do few labels go?",
        takes="nothing",
    )  # fmt: skip


LINEAR_PROBE = probe(ProbeParams, "after the head")
TOKEN_PROBE = probe(TokenProbeParams, "class token")
