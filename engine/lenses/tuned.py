"""Fine-tuning under the eye: a copy of a network goes on learning from a few labels, lower layers more slowly."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.augment.views import crop_flip
from engine.bench import Bench
from engine.data.base import Batch
from engine.data.subset import labels_in, labels_of, part, spread
from engine.lenses.probed import Probed, chosen, sets, untrained
from engine.method import Bars, Curves, Lens, Params, Report, Table, knob
from engine.metrics.answers import accuracy_of
from engine.metrics.classification import accuracy
from engine.metrics.neighbours import embed_all
from engine.metrics.readers import LinearProbe, linear_probe
from engine.nets.masked_vit import MaskedViT
from engine.nets.resnet import SmallResNet
from engine.ops.decay import layerwise_groups
from engine.ops.schedule import cosine

ASKED, MOMENTS = 500, 20
"""Test pictures that are asked on the way; how often, the beginning not counted."""
STARTS = ("from the checkpoint", "from random weights")


class TuneParams(Params):
    labels: int = knob(50, "labelled pictures of each class", 1, 1000, tiny=2, log=True)
    steps: int = knob(150, "optimiser steps", 1, 200, tiny=2, unit="steps")
    start: Literal["both", "checkpoint", "random"] = knob("both", "what the network begins with; both: side by side")
    layer_decay: float = knob(0.75, "factor of the learning rate from each layer to the one below; 1: all learn alike",
                              0.1, 1.0, paper=0.75)  # fmt: skip
    head: Literal["probe", "zeros"] = knob("probe", "the new head begins as a linear reader of the features, or blank",
                                           paper="zeros")  # fmt: skip
    frozen: bool = knob(False, "let only the new head learn")
    lr: float = knob(2e-3, "learning rate of the head at its peak", 1e-6, 1.0, log=True)
    batch: int = knob(32, "pictures a step", 2, 1024, tiny=4, fold=True)
    crop: float = knob(1.0, "least share of a picture that a random crop keeps", 0.05, 1.0, fold=True)
    weight_decay: float = knob(0.05, "pull of the weights, not of biases and norms, towards 0", 0.0, 1.0, fold=True)
    smoothing: float = knob(0.1, "share of each label that is spread over all classes", 0.0, 0.9, fold=True)
    seed: int = knob(0, "other labelled pictures, other crops", 0, 9999, fold=True)
    data: str = knob("", "labelled pictures; empty: what the network was trained on", fold=True)


def stack(model: Any) -> dict[str, list[nn.Parameter]]:
    """The parameters that `features` needs by layer, from the pictures on; what stands after the last block belongs to
    the head, as "". A network whose layers are not known here is one layer."""
    if isinstance(model, MaskedViT):
        first = [model.cls_token, *model.patch_embed.parameters()]
        blocks = {f"block {i}": list(block.parameters()) for i, block in enumerate(model.blocks, 1)}
        return {"patches": first, **blocks, "": list(model.norm.parameters())}
    net = next((each for each in model.modules() if isinstance(each, SmallResNet)), None)
    if net is not None:
        blocks = {f"block {i}": list(block.parameters()) for i, block in enumerate(net.blocks, 1)}
        return {"stem": list(net.stem.parameters()), **blocks, "": []}
    return {"network": [each for each in model.parameters() if each.requires_grad], "": []}


class Tuned(nn.Module):
    """A network whose features, standardised by what a `LinearProbe` saw, a linear head reads: images -> logits."""

    def __init__(self, net: Any, reader: LinearProbe, blank: bool):
        super().__init__()
        self.net, self.head = net, nn.Linear(reader.weight.shape[1], len(reader.weight)).to(reader.weight.device)
        self.mean, self.deviation = reader.mean, reader.deviation
        with torch.no_grad():
            self.head.weight.copy_(reader.weight * (not blank))
            self.head.bias.copy_(reader.bias * (not blank))

    def forward(self, images: Tensor) -> Tensor:
        return self.head((self.net.features(images) - self.mean) / self.deviation)


class Course:
    """A copy of a network that learns: its layers with the head as the last, where they began, and the optimiser."""

    def __init__(self, net: Any, reader: LinearProbe, p: TuneParams, decay: float):
        self.net = Tuned(net, reader, p.head == "zeros")
        self.layers = stack(net)
        self.layers["head"] = [*self.layers.pop(""), *self.net.head.parameters()]
        net.requires_grad_(not p.frozen)
        self.began = {name: [each.detach().clone() for each in layer] for name, layer in self.layers.items()}
        groups = layerwise_groups(list(self.layers.values()), p.lr, decay, p.weight_decay)
        self.optimizer, warmup = torch.optim.AdamW(groups), p.steps // 10
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: cosine(step, p.steps, warmup, start=0.1)
        )

    def step(self, images: Tensor, labels: Tensor, p: TuneParams) -> float:
        """One optimiser step; the loss before it."""
        self.net.train(not p.frozen)
        with torch.enable_grad():
            loss = F.cross_entropy(self.net(images), labels, label_smoothing=p.smoothing)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return loss.item()

    def right(self, asked: list[Batch]) -> float:
        """Share right of the asked pictures."""
        return accuracy_of(self.net, asked).item()

    @property
    def rates(self) -> list[float]:
        """The learning rate of each layer at its peak; 0 of what is frozen."""
        peak = {id(each): group["initial_lr"] for group in self.optimizer.param_groups for each in group["params"]}
        return [peak[id(layer[-1])] * layer[-1].requires_grad for layer in self.layers.values()]

    def moved(self) -> Tensor:
        """How far each layer but the head has come: the length of its change over its length at the beginning."""
        found = []
        for name, layer in self.layers.items():
            if name != "head":
                change = torch.cat([(each.detach() - old).flatten() for each, old in
                                    zip(layer, self.began[name], strict=True)])  # fmt: skip
                found.append(change.norm() / torch.cat([old.flatten() for old in self.began[name]]).norm())
        return torch.stack(found)


def look_tune(model: Probed, p: TuneParams, images: None, bench: Bench) -> Iterator[Report]:
    """Train copies of the model with a new head on a few labelled pictures, and show how it goes."""
    train, test = sets(model, p.data, bench)
    known, asked = part(train, chosen(train, p.labels, p.seed)), list(bench.chunks(spread(test, ASKED)))
    nets = {STARTS[0]: (copy.deepcopy(model), p.layer_decay), STARTS[1]: (untrained(model, train.facts, p.seed), 1.0)}
    labels, classes = labels_of(known).to(bench.device), len(train.facts.classes)
    readers = {name: linear_probe(embed_all(net.features, bench.chunks(known))[0], labels, classes)
               for name, (net, _) in nets.items()}  # fmt: skip
    told = embed_all(model.features, asked)
    probe = accuracy(readers[STARTS[0]](told[0]).argmax(dim=1), told[1]).item()
    wanted = [name for name in STARTS if p.start == "both" or p.start in name]
    courses = {name: Course(nets[name][0], readers[name], p, nets[name][1]) for name in wanted}
    view, dice = crop_flip(area=(p.crop, 1.0)), torch.Generator().manual_seed(p.seed)
    right = {name: [(0.0, course.right(asked))] for name, course in courses.items()}
    losses: dict[str, list[tuple[float, float]]] = {name: [] for name in courses}
    for step in range(p.steps + 1):
        if step:
            batch = known.batch(torch.randint(len(known), (p.batch,), generator=dice)).to(bench.device)
            seen = view(batch.images, dice)
            for name, course in courses.items():
                losses[name].append((step, course.step(seen, labels_in(batch), p)))
        if step * MOMENTS // p.steps > (step - 1) * MOMENTS // p.steps:
            if step:
                for name, course in courses.items():
                    right[name].append((step, course.right(asked)))
            yield report_of(courses, right, losses, probe, p.steps)


def report_of(
    courses: dict[str, Course], right: dict[str, list[tuple[float, float]]],
    losses: dict[str, list[tuple[float, float]]], probe: float, steps: int,
) -> Report:  # fmt: skip
    """The courses so far. The layers are those of the first."""
    first = next(iter(courses.values()))
    report: Report = {"linear probe": torch.tensor([(0.0, probe), (float(steps), probe)])}
    for name in STARTS:
        report[name] = torch.tensor(right.get(name, [])).view(-1, 2)
        report[f"loss {name}"] = torch.tensor(losses.get(name, [])).view(-1, 2)
    return report | {
        "layer": list(first.layers), "rate": torch.tensor(first.rates), "moved": first.moved(),
        "of layer": [name for name in first.layers if name != "head"],
    }  # fmt: skip


FINE_TUNE = Lens(
    "Fine-tune", TuneParams, look_tune,
    (
        Curves((*STARTS, "linear probe"), "Share right on 500 test pictures while the whole network learns; flat, the "
               "linear reader of the frozen features with the same labels. Heads begin as such readers, or blank."),
        Curves(tuple(f"loss {name}" for name in STARTS), "Cross-entropy with smoothed labels on distorted training "
               "pictures. With a blank head it begins at log(classes)."),
        Bars(("moved", "of layer"), "How far each layer has gone from where it began, in parts of its length."),
        Table(("layer", "rate"), "Learning rates at their peak: each layer learns slower than the one above it."),
    ),
    "Go on training a copy on a few labels: is it worth more than reading frozen features, and than starting anew?",
    takes="nothing", long=True,
)  # fmt: skip
