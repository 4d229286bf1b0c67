"""Lenses for networks that learn by groups: what each prototype gathers, and how a batch is shared out among them."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from engine.bench import Bench
from engine.data.base import Facts
from engine.data.subset import labels_of, spread
from engine.method import Curves, Lens, Matrix, Params, Pictures, Report, Table, knob
from engine.metrics.neighbours import NEAREST
from engine.ops.sinkhorn import sinkhorn


class Grouping(Protocol):
    """A model that compares pictures with prototypes."""

    facts: Facts
    params: Any

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) -> scores (B, K), the higher the nearer to a prototype."""


class GroupsParams(Params):
    shown: int = knob(10, "groups that are shown, the largest first", 1, 60)
    after: int = knob(0, "so many of the largest left out", 0, 1000)
    bank: int = knob(2000, "pictures that are sorted into the groups", 10, 100_000, tiny=40)
    data: str = knob("", "where they come from; empty: what the network was trained on", fold=True)


def by_place(values: Tensor) -> Tensor:
    """Values (K,) as a curve (K, 2) over 1, 2, ... K."""
    return torch.stack([torch.arange(1.0, len(values) + 1), values.float().cpu()], dim=1)


@torch.no_grad()
def groups(model: Grouping, params: GroupsParams, images: None, bench: Bench) -> Report:
    """Training pictures by their nearest prototype: how many, of which class, and the five nearest of each."""
    data = spread(bench.data(params.data or model.params.data, "train", model.facts.size), params.bank)
    scores = torch.cat([model(batch.images) for batch in bench.chunks(data)])
    own = scores.argmax(dim=1)
    sizes = torch.bincount(own, minlength=scores.shape[1])
    order = sizes.argsort(descending=True, stable=True)
    chosen = order[params.after : params.after + params.shown]
    if not len(chosen):
        raise ValueError(f"after: there are {len(order)} groups, so at most {len(order) - 1} can be left out, "
                         f"got {params.after}")  # fmt: skip
    near = scores[:, chosen].topk(min(len(NEAREST), len(scores)), dim=0).indices.T  # (shown, 5)
    found = [data.batch(column.cpu()).to(bench.device).images for column in near.T]
    labels, classes = labels_of(data).to(own.device), data.facts.classes
    said = []
    for group in chosen.tolist():
        within = labels[(own == group) & (labels >= 0)]
        if not len(within):
            said.append("nobody knows" if len(classes) else "no classes here")
            continue
        counts = torch.bincount(within, minlength=len(classes))
        said.append(f"{classes[int(counts.argmax())]} {counts.max().item() / len(within):.0%}")
    return {
        **dict(zip(NEAREST, found, strict=False)), "group": chosen + 1, "pictures": sizes[chosen], "mostly": said,
        "share of pictures": by_place(sizes[order].float() / len(scores)),
        "even share": by_place(torch.full((len(order),), 1 / len(order))),
    }  # fmt: skip


PROTOTYPES = Lens(
    "Groups", GroupsParams, groups,
    (
        Pictures(NEAREST, "A row a group: the training pictures nearest to its prototype."),
        Table(("group", "pictures", "mostly"), "How many pictures have it as their nearest, and which class most of "
              "them are of, though no class was ever told."),
        Curves(("share of pictures", "even share"), "The share of pictures in each group, the largest first; all alike "
               "would be even. One group with everything is collapse.", over="group, by size"),
    ),
    "What did it sort pictures by?", takes="nothing",
)  # fmt: skip


class CodesParams(Params):
    epsilon: float = knob(0.05, "softness of the codes: small is sharp, 1 is flat", 0.005, 1.0, log=True)
    batch: int = knob(128, "test pictures that are shared out together", 8, 2000, tiny=16)
    shown: int = knob(12, "pictures and groups in the tables", 2, 40, tiny=4)


ITERATIONS = {"none": 0, "1 iteration": 1, "3 iterations": 3, "30 iterations": 30}


@torch.no_grad()
def codes(model: Grouping, params: CodesParams, images: None, bench: Bench) -> Report:
    """A batch shared out among the groups, after more and more of Sinkhorn's iterations."""
    data = spread(bench.data(model.params.data, "test", model.facts.size), params.batch)
    scores = torch.cat([model(batch.images) for batch in bench.chunks(data)])
    found = {name: sinkhorn(scores, params.epsilon, times) for name, times in ITERATIONS.items()}
    order = found["none"].sum(dim=0).argsort(descending=True, stable=True)
    rows, columns = torch.arange(len(scores))[: params.shown], order[: params.shown]
    return {
        **{f"code, {name}": code[rows][:, columns] for name, code in found.items()},
        "rows": [f"picture {row + 1}" for row in rows.tolist()],
        "columns": [f"{column + 1}" for column in columns.tolist()],
        **{f"share, {name}": by_place(code.mean(dim=0)[order]) for name, code in found.items()},
    }  # fmt: skip


CODES = Lens(
    "Sharing out", CodesParams, codes,
    (
        Curves(tuple(f"share, {name}" for name in ITERATIONS), "What each group gets of a batch, the greediest first. "
               "Without an iteration pictures go where they like; with each, shares come nearer to each other.",
               over="group, by greed"),
        Matrix(("code, none", "code, 3 iterations"), "How the first pictures (rows) are divided among the greediest "
               "groups (columns), before and after."),
    ),
    "Why does not everything end in one group? Each has to get its share.", takes="nothing",
)  # fmt: skip
