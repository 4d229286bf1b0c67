r"""Momentum contrast.

He, Fan, Wu, Xie, Girshick. CVPR 2020 (v2: Chen, Fan, Girshick, He, 2020). arXiv:1911.05722

Idea. Learning without labels as looking up a dictionary: of two random views of a picture, the first must find the
second among thousands of views of other pictures. The dictionary is a queue of keys made in earlier steps, so it can be
much larger than a batch; a copy of the network that follows it slowly makes the keys, so that old and new ones agree.

Equation. $$\mathcal{L}=-\log\frac{e^{q\cdot k_+/\tau}}{e^{q\cdot k_+/\tau}+\sum_{j=1}^{K}e^{q\cdot k_j/\tau}},\qquad
\theta_k\leftarrow m\,\theta_k+(1-m)\,\theta_q$$

Where. $q$: the query, a unit vector: the first view through the network $\theta_q$
$k_+$: its key: the second view through the key network $\theta_k$
$k_j$: the K keys in the queue, of other pictures
$\tau$: the temperature; the smaller, the more the hardest negatives count
$m$: the momentum, how slowly the key network follows

Differs. The demo is a residual network of 77 000 weights on garments of 28 pixels: 1500 steps of 64 pictures, a queue
of 1024 and a momentum of 0.99, because 65 536 and 0.999 are made for a hundred thousand steps; crops keep two fifths of
a picture or more, since little is left of 28 pixels. Batch statistics of several GPUs, which let a network cheat, and
the shuffling that prevents it are shown on one device by `ghost_groups` and `shuffle`. Features are judged by nearest
neighbours among few labelled pictures, not by a linear classifier.

Expect. The demo takes 50 CPU-seconds of a core. Over three seeds the nearest of 200 labelled pictures know the class of
0.677, 0.685 and 0.711 of the test pictures, against 0.645 by pixels and 0.543, 0.503 and 0.483 before training. A
linear probe of the same labels knows 0.721, 0.705 and 0.719. Without momentum the loss stays at chance and features end
no better than they began: 0.482, 0.509, 0.472. Of objects in colour the nearest know 0.656, 0.661 and 0.671, a linear
probe 0.771, 0.741 and 0.758 (pixels: 0.436).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import model_validator
from torch import Tensor, nn

from engine.augment.views import moco_v1, moco_v2
from engine.bench import Bench
from engine.data.base import Dataset, Facts
from engine.data.subset import spread
from engine.lenses.features import MAP, NEIGHBOURS
from engine.lenses.probed import LINEAR_PROBE
from engine.losses.contrastive import info_nce_logits
from engine.method import (
    Claim,
    Curves,
    Histogram,
    Lens,
    Matrix,
    Method,
    Params,
    Pictures,
    Report,
    Table,
    knob,
)  # fmt: skip
from engine.metrics.readout import COURSE, IN_COLOUR, WORTH, Readout
from engine.nets.classifier import backbone
from engine.nets.groups import in_groups
from engine.ops.across import gather
from engine.ops.choose import host_generator
from engine.ops.ema import ema_update, follower
from engine.ops.schedule import cosine

Version = Literal["v1", "v2"]
VIEWS = {"v1": moco_v1, "v2": moco_v2}
SCHEDULES: dict[Version, Callable[[int, int, int], float]] = {
    "v1": lambda step, steps, warmup: 0.1 ** ((step >= 0.6 * steps) + (step >= 0.8 * steps)),
    "v2": cosine,
}
"""Factor of the learning rate at a step of so many: v1 divides it by ten after 120 and 160 of 200 epochs."""
SHOWN, ASKED = 8, 500
"""Pictures in an exhibit; test pictures asked in the course of training."""


class MoCoParams(Params):
    data: str = knob("garments", "pictures, no labels needed: a set by name, folder:PATH or unlabelled:PATH")
    version: Version = knob("v2", "v2 adds a hidden layer to the head, blur to the views and a cosine schedule to v1")
    queue: int = knob(
        1024, "keys kept as negatives; a multiple of the batch", 2, 2**20, tiny=16, paper=65_536, log=True
    )
    momentum: float = knob(0.99, "how slowly the key network follows; 0: not at all slowly", 0.0, 1.0, paper=0.999)
    temperature: float = knob(0.2, "softmax temperature (the paper: 0.07 in v1, 0.2 in v2)", 0.01, 1.0, log=True)
    ghost_groups: int = knob(1, "parts of a batch with their own batch statistics, as on so many GPUs", 1, 64, paper=8)
    steps: int = knob(1500, "optimiser steps", 1, 10**7, tiny=3, paper=1_000_000, unit="steps")
    lr: float = knob(0.12, "learning rate at its peak", 1e-6, 10.0, paper=0.03, log=True)
    shuffle: bool = knob(True, "other ghost groups for keys than for queries, lest statistics give the partner away",
                         fold=True)  # fmt: skip
    batch: int = knob(64, "pictures a step", 2, 65_536, tiny=8, paper=256, fold=True)
    warmup: int = knob(100, "steps over which v2's learning rate rises", 0, 10**6, tiny=1, paper=0, fold=True)
    weight_decay: float = knob(1e-4, "pull of all weights towards 0", 0.0, 1.0, fold=True)
    crop: float = knob(0.4, "least share of a picture that a view keeps", 0.05, 1.0, paper=0.2, fold=True)
    dim: int = knob(64, "numbers a key", 2, 4096, tiny=8, paper=128, fold=True)
    backbone: str = knob("small", "the network: small, or any of timm's by name", paper="resnet50", fold=True)
    width: int = knob(16, "channels of the small network", 1, 512, tiny=2, fold=True)
    labels: int = knob(200, "labelled pictures by which features are judged", 20, 10**6, tiny=40, fold=True)
    size: int = knob(28, "height and width", 8, 1024, paper=224, unit="px", fold=True)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.queue % self.batch:
            raise ValueError(f"queue {self.queue} must be a multiple of the batch {self.batch}; change one of them")
        if self.batch % self.ghost_groups or self.batch == self.ghost_groups:
            raise ValueError(
                f"ghost_groups {self.ghost_groups} must divide the batch {self.batch} into parts of 2 or more"
            )
        return self


class Encoder(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> unit keys (B, dim). What is used afterwards is `features`, before the head."""

    def __init__(self, params: MoCoParams, facts: Facts):
        super().__init__()
        self.backbone = backbone(params.backbone, facts.channels, width=params.width)
        width = self.backbone.out_features
        hidden = [nn.Linear(width, width), nn.ReLU()] if params.version == "v2" else []
        self.head = nn.Sequential(*hidden, nn.Linear(width, params.dim))

    def forward(self, images: Tensor) -> Tensor:
        return F.normalize(self.head(self.backbone(images)).float(), dim=1)


class MoCo(nn.Module):
    """The network `query`, the network `key` that follows it, and the queue (K, dim) of unit keys with the place where
    the next ones go."""

    queue: Tensor
    pointer: Tensor

    def __init__(self, params: MoCoParams, facts: Facts):
        super().__init__()
        self.params, self.facts = params, facts
        # Channels last: on a CPU, too, the small network is 1.6 times as fast so.
        self.query = Encoder(params, facts).to(memory_format=torch.channels_last)
        self.key = follower(self.query)
        self.register_buffer("queue", F.normalize(torch.randn(params.queue, params.dim), dim=1))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))

    def features(self, images: Tensor) -> Tensor:
        return self.query.backbone(images)

    def project(self, images: Tensor) -> Tensor:
        return self.query(images)

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Put keys (B, dim), and those of all other ranks, in the places of the oldest ones."""
        keys = gather(keys)
        places = (self.pointer + torch.arange(len(keys), device=keys.device)) % len(self.queue)
        self.queue.index_copy_(0, places, keys)
        self.pointer.add_(len(keys)).remainder_(len(self.queue))


def train(model: MoCo, params: MoCoParams, bench: Bench) -> Iterator[Report]:
    data, test = (bench.data(params.data, split, params.size) for split in ("train", "test"))
    readout = Readout(bench, spread(data, params.labels), test, model.eval().features)
    view, factor = VIEWS[params.version](area=(params.crop, 1.0)), SCHEDULES[params.version]
    optimizer = torch.optim.SGD(model.query.parameters(), params.lr, 0.9, weight_decay=params.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: factor(step, params.steps, min(params.warmup, params.steps))
    )
    for batch in bench.batches(data, params.batch, params.steps, keep=(optimizer, schedule)):
        model.train()
        one, two = view(batch.images, bench.generator), view(batch.images, bench.generator)
        query = in_groups(model.query, one, params.ghost_groups)
        with torch.no_grad():
            ema_update(model.key, model.query, params.momentum, copy_buffers=False)
            # Across ranks it stays within one: on GPUs statistics are of all ranks' parts anyway (SyncBatchNorm); on a
            # CPU they are of a rank's, which key and query share, so ask for ghost groups there to break that.
            order = torch.randperm(len(two), generator=host_generator(bench.generator)) if params.shuffle else None
            key = in_groups(model.key, two, params.ghost_groups, order)
        logits = info_nce_logits(query, key, model.queue, params.temperature)
        loss = F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.int64))
        bench.step(optimizer, loss, schedule=schedule)
        model.enqueue(key)
        found = (logits.argmax(dim=1) == 0).float().mean()
        report: Report = {"loss": loss.detach(), "chance": math.log(1 + params.queue), "found": found}
        if bench.due:
            report |= {"one": one[:SHOWN], "two": two[:SHOWN]}
            report["networks_agree"] = agreement(model.eval(), test, bench)
            report |= readout(model.features, model.project, last=bench.done == params.steps)
        yield report


@torch.no_grad()
def agreement(model: MoCo, test: Dataset, bench: Bench) -> Tensor:
    """Mean cosine of the two networks' keys of a picture."""
    images = torch.cat([batch.images for batch in bench.chunks(spread(test, ASKED))])
    return (model.query(images) * model.key(images)).sum(dim=1).mean()


class SimilarityParams(Params):
    version: Version = knob("v2", "whose views: those of v2 keep the hue and are blurred")
    crop: float = knob(0.2, "least share of a picture that a view keeps; 1: all of it", 0.05, 1.0)
    temperature: float = knob(0.2, "softmax temperature", 0.01, 1.0, log=True)
    seed: int = knob(0, "other views", 0, 9999)


@torch.no_grad()
def similarity(model: MoCo, params: SimilarityParams, images: Tensor, bench: Bench) -> Report:
    """The task itself: two views of each picture, and whether the first finds the second among the queue's keys."""
    view, generator = VIEWS[params.version](area=(params.crop, 1.0)), torch.Generator(bench.device)
    generator.manual_seed(params.seed)
    one, two = view(images, generator), view(images, generator)
    query, key = model.query(one), model.key(two)
    logits = info_nce_logits(query, key, model.queue, params.temperature)
    cosines = logits * params.temperature
    return {
        "one": one, "two": two, "similarity": query @ key.T,
        "partners": cosines[:, 0], "queue": cosines[:, 1:].flatten(),
        "number": torch.arange(1, len(images) + 1), "probability": logits.softmax(dim=1)[:, 0],
        "keys_ahead": (logits[:, 1:] > logits[:, :1]).sum(dim=1),
    }  # fmt: skip


METHOD = Method(
    params=MoCoParams,
    build=MoCo,
    train=train,
    embed=MoCo.features,
    exhibits=(
        Curves(("loss", "chance"), "InfoNCE; chance is log(1 + queue). It rises when the queue fills with real keys, "
               "which are harder to tell apart than the random ones it began with, and falls again."),
        Curves(("found",), "Share of queries whose own key comes first among all keys of the queue."),
        Curves(("networks_agree",), "Cosine of the two networks' keys for a picture: how far the slow one is behind."),
        Pictures(("one", "two"), "Two views of each picture: query and key."),
        *WORTH,
    ),
    lenses=(
        NEIGHBOURS,
        Lens(
            "Similarity", SimilarityParams, similarity,
            (Pictures(("one", "two"), "Two random views of each picture."),
             Matrix(("similarity",), "Cosine of first (rows) and second views (columns): the diagonal is to win."),
             Histogram(("partners", "queue"), "Similarity to the own partner, and to the keys in the queue."),
             Table(("number", "probability", "keys_ahead"), "How sure each first view is of its partner, and how many "
                   "keys of the queue come before it: 0 is a task solved.")),
            "Play the training task with your pictures: can a view still be matched when the crops get small?",
        ),
        MAP,
        LINEAR_PROBE,
    ),
    claim=Claim(
        "The queue needs a slowly following key network: with a momentum of 0 its keys come from networks that differ, "
        "and learning fails. Measured as the share of test pictures whose class the nearest of 200 labelled ones know.",
        figure="neighbours",
        course=COURSE,
        arms={"MoCo": {}, "no momentum": {"momentum": 0.0}},
        baseline="untrained",
        also=IN_COLOUR,
    ),
)  # fmt: skip
