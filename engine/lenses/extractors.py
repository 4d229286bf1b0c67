"""A lens that lets feature extractors compete: whose groups are the easiest to learn, and to tell in words?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine import catalog
from engine.bench import Bench
from engine.data.subset import spread
from engine.lenses.concepts import AskedParams, Grouping
from engine.maps.measures import purity
from engine.method import Bars, Lens, Report, Table, knob
from engine.metrics.concepts import Bank, examine, look_at
from engine.metrics.neighbours import PIXELS
from engine.nets.classifier import backbone
from engine.ops.kmeans import kmeans
from engine.showcase import folder
from engine.trained import features_of


class ExtractorsParams(AskedParams):
    clusters: int = knob(20, "groups that are made of each one's features", 2, 200, tiny=2)
    pictures: int = knob(2000, "pictures that are grouped", 40, 100_000, tiny=60, log=True)
    trials: int = knob(1000, "trials for each", 10, 20_000, tiny=10, log=True)


Extractor = tuple[nn.Module, Callable[[Tensor], Tensor]]


def contestants(model: Grouping) -> Iterator[tuple[str, Extractor]]:
    """Features by name: of the model at hand, of pixels, of an untrained network, of every demo that ships and takes
    such pictures."""
    assert isinstance(model, nn.Module)
    yield f"this model: {model.params.features}", (model, model.features)
    yield "pixels", (PIXELS, PIXELS)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        untrained = backbone("small", model.facts.channels, width=16).eval()
    yield "untrained network", (untrained, untrained)
    for id in catalog.ids():
        if (folder(id) / "checkpoint.safetensors").is_file():
            try:
                yield catalog.card(id).title, features_of(id, model.facts)
            except ValueError:  # it takes other pictures, or has no features: it does not compete
                continue


@torch.no_grad()
def extractors(model: Grouping, p: ExtractorsParams, images: None, bench: Bench) -> Iterator[Report]:
    """The same pictures grouped by each one's features, by lot and by class, under the same judges."""
    data = spread(bench.data(model.params.data, "train", model.facts.size), p.pictures)
    device = next(iter(bench.chunks(data))).images.device
    first = look_at(bench.chunks(data), PIXELS, p.judge)
    found: list[tuple[str, float, float, float | None]] = []

    def enter(name: str, features: Tensor, groups: Tensor, count: int) -> Report:
        bank = Bank(**first | {"features": features})
        seen = examine(bank, groups, count, p.trials, p.examples, p.seed, hard=p.hard)
        pure = purity(groups, bank.labels) if (bank.labels >= 0).any() else None
        found.append((name, seen.learnability.share, seen.describability.share, pure))
        return table(found)

    lot = torch.randint(p.clusters, (len(data),), generator=torch.Generator().manual_seed(p.seed))
    yield enter("groups by lot", first["features"], lot, p.clusters)
    if (first["labels"] >= 0).all():
        yield enter("true classes", first["features"], first["labels"], len(data.facts.classes))
    for name, (network, embed) in contestants(model):
        if p.judge == "pixels" and name in ("pixels", "this model: pixels"):
            continue  # it would be judged by what made its groups
        if network is not model:
            network.to(device)
        rows = torch.cat([embed(batch.images).float().flatten(1).cpu() for batch in bench.chunks(data)])
        rows = F.normalize(rows, dim=1)
        groups, _ = kmeans(rows, p.clusters, torch.Generator().manual_seed(p.seed), tries=2, rounds=30)
        yield enter(name, rows, groups, p.clusters)


def table(found: list[tuple[str, float, float, float | None]]) -> Report:
    """Those that were asked so far, the most learnable first."""
    ranked = sorted(found, key=lambda one: -one[1])
    return {
        "features": [one[0] for one in ranked],
        "learnability": torch.tensor([one[1] for one in ranked]),
        "describability": torch.tensor([one[2] for one in ranked]),
        "purity": ["unknown" if one[3] is None else f"{one[3]:.2f}" for one in ranked],
    }


EXTRACTORS = Lens(
    "Whose groups", ExtractorsParams, extractors,
    (
        Bars(("learnability", "describability", "features"), "Right answers to the same questions about groups made of "
             "each one's features: by the judge who sees examples, and by the one who is told. By lot, it is a half."),
        Table(("features", "learnability", "describability", "purity"), "The same in numbers, most learnable first; "
              "and how much of a group is of its commonest class."),
    ),
    "Whose features make the groups that are easiest to pick up?", takes="nothing", long=True,
)  # fmt: skip
