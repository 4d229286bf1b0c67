r"""MoCo v3.

Chen, Xie, He. ICCV 2021. arXiv:2104.02057

Idea. Momentum contrast without the queue: in a large batch the other pictures' keys are strangers enough, and a small
predictor on the side of the queries helps. Its subject is how shaky transformers are when they learn so: accuracy dips
when the gradient of their first layer spikes. A first layer that stays at random, untrained, takes the dips away.

Equation. $$\mathrm{ctr}(q,k)=-\frac{2\tau}N\sum_i\log\frac{e^{\hat q_i\cdot\hat k_i/\tau}}
{\sum_je^{\hat q_i\cdot\hat k_j/\tau}},\qquad\mathcal L=\mathrm{ctr}(q_1,k_2)+\mathrm{ctr}(q_2,k_1)$$

Where. $q_1, q_2$: two views of each picture through network, head and predictor
$k_1, k_2$: the same views through copies of network and head that follow slowly; no predictor
$\hat q, \hat k$: the same at unit length
$N$: pictures in a batch
$\tau$: the temperature; the factor in front keeps gradients of one size whatever it is

Differs. The demo is a transformer of 0.13 million weights on garments of 32 pixels: two blocks in place of twelve, and
500 steps of 64 pictures, which the paper's 94 000 of 4096 dwarf. Its 16 tokens are made by three convolutions of stride
2 that learn, not by one map of each patch: Xiao et al. found that such a stem, too, takes the shakiness away (NeurIPS
2021, arXiv:2106.14881). The paper's own first layer is `stem=patch` with `freeze_patches`. The momentum starts at 0.98;
crops keep three tenths of a picture or more, and grey pictures have no hue. Convolutional networks are trained with
AdamW, too, in place of LARS. Features are judged by the nearest of few labelled pictures and by a linear probe of
these; the paper's figures are linear probes of all of ImageNet's labels.

Expect. The demo takes 52 CPU-seconds of a core. Over three seeds the nearest of 200 labelled pictures know the class of
0.639, 0.648 and 0.640 of the test pictures, a linear probe 0.697, 0.711 and 0.699, against 0.444, 0.488 and 0.407 by
the nearest before training and 0.636 by pixels. One-sided, a third cheaper, it is 0.618, 0.623 and 0.613; without the
predictor, which is meant for long trainings with batches of thousands, 0.647, 0.687 and 0.682; with patches at random,
as published, 0.617, 0.553 and 0.590, where it began at 0.529, 0.498 and 0.489. On objects in colour the nearest know
0.410, 0.445 and 0.359, a linear probe 0.609, 0.604 and 0.534 (pixels: 0.436).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Self

import torch
import torch.nn.functional as F
from pydantic import model_validator
from torch import Generator, Tensor, nn

from engine.augment.byol import byol
from engine.augment.views import View
from engine.bench import Bench
from engine.data.base import Dataset, Facts
from engine.data.subset import spread
from engine.lenses.attention import HEADS
from engine.lenses.features import MAP, NEIGHBOURS, PAIRS
from engine.lenses.probed import LINEAR_PROBE
from engine.losses.in_batch import in_batch_logits, symmetric_contrast
from engine.method import Claim, Curves, Method, Params, Pictures, Report, Sweep, knob
from engine.metrics.readout import ASKED, COURSE, IN_COLOUR, WORTH, Readout
from engine.nets.classifier import backbone
from engine.nets.moco_vit import RELEASED_HEADS, released_sizes, renamed
from engine.nets.projection import projection
from engine.nets.transformer import Stem, check_sizes, first_layer, transformer, transformer_in
from engine.ops.decay import decay_groups
from engine.ops.ema import ema_update, follower
from engine.ops.schedule import cosine

SHOWN = 8
"""Pictures in an exhibit."""
TOKEN = 4
"""Numbers a token of the transformer for each channel of the small network."""


class MoCoV3Params(Params):
    data: str = knob("garments", "pictures, no labels needed: a set by name, folder:PATH or unlabelled:PATH")
    freeze_patches: bool = knob(False, "the first layer (of a transformer its stem) stays at random", paper=True)
    symmetric: bool = knob(True, "each view seeks the other's key; without, only the first seeks, at half the cost")
    predictor: bool = knob(True, "two layers more on the side of the queries")
    momentum: float = knob(0.98, "how slowly keys' network follows; 0: not at all slowly", 0.0, 1.0, paper=0.99)
    lr: float = knob(3e-3, "learning rate at its peak", 1e-6, 1.0, paper=2.4e-3, log=True)
    batch: int = knob(64, "pictures a step, each other's strangers", 2, 65_536, tiny=8, paper=4096)
    steps: int = knob(500, "optimiser steps", 1, 10**7, tiny=3, paper=93_750, unit="steps")
    temperature: float = knob(0.2, "softmax temperature", 0.01, 1.0, log=True, fold=True)
    rise: bool = knob(True, "the momentum rises to 1 by the end; without, it stays", fold=True)
    warmup: int = knob(60, "steps over which the learning rate rises", 0, 10**6, tiny=1, paper=12_500, fold=True)
    weight_decay: float = knob(0.1, "pull of the weights, not of biases and norms, towards 0", 0.0, 1.0, fold=True)
    crop: float = knob(0.3, "least share of a picture that a view keeps", 0.05, 1.0, paper=0.08, fold=True)
    blur: float = knob(1.0, "chance that the first view is blurred; the second's is a tenth of it", 0.0, 1.0, fold=True)
    solarize: float = knob(0.2, "chance that the second view is solarised: what is bright inverted", 0.0, 1.0,
                           fold=True)  # fmt: skip
    hidden: int = knob(128, "numbers in the hidden layers of head and predictor", 1, 65_536, tiny=16, paper=4096,
                       fold=True)  # fmt: skip
    dim: int = knob(64, "numbers a key", 2, 4096, tiny=8, paper=256, fold=True)
    backbone: str = knob("vit", "vit, a small transformer; small, a residual network; or any of timm's by name",
                         fold=True)  # fmt: skip
    width: int = knob(16, "channels of the small network; a transformer has four times as many numbers a token", 1, 512,
                      tiny=2, paper=192, fold=True)  # fmt: skip
    depth: int = knob(2, "blocks of the transformer", 1, 64, tiny=1, paper=12, fold=True)
    heads: int = knob(4, "attention heads of the transformer", 1, 64, tiny=2, paper=12, fold=True)
    stem: Stem = knob("convolutional", "what makes its tokens: a few convolutions, or one map of each patch",
                      paper="patch", fold=True)  # fmt: skip
    patch: int = knob(8, "side of its patches; must divide the size", 1, 64, paper=16, unit="px", fold=True)
    labels: int = knob(200, "labelled pictures by which features are judged", 20, 10**6, tiny=40, fold=True)
    size: int = knob(32, "height and width", 8, 1024, paper=224, unit="px", fold=True)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.backbone == "vit":
            sides = {"size": self.size}
            check_sizes(sides, patch=self.patch, width=TOKEN * self.width, heads=self.heads, stem=self.stem)
        return self


class Encoder(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> what the head makes of them (B, dim). What is used afterwards is before it."""

    def __init__(self, params: MoCoV3Params, facts: Facts):
        super().__init__()
        p = params
        self.transformer = p.backbone == "vit"
        if self.transformer:
            sizes = {"size": facts.size, "patch": p.patch, "width": TOKEN * p.width, "depth": p.depth, "heads": p.heads}
            self.backbone = transformer(facts.channels, **sizes, stem=p.stem)
        else:
            self.backbone = backbone(p.backbone, facts.channels, width=p.width)
        layers = (self.backbone.out_features, *(p.hidden,) * (2 if self.transformer else 1), p.dim)
        self.head = projection(layers, last_norm=True)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images)).float()


class MoCoV3(nn.Module):
    """The network `query` with its predictor, and the network `key` that follows it and has none."""

    def __init__(self, params: MoCoV3Params, facts: Facts):
        super().__init__()
        self.params, self.facts = params, facts
        self.query = Encoder(params, facts).to(memory_format=torch.channels_last)
        self.key = follower(self.query)
        self.predictor: nn.Module = nn.Identity()
        if params.predictor:
            layers = params.dim, params.hidden, params.dim
            self.predictor = projection(layers, last_norm=self.query.transformer)

    @classmethod
    def released(cls, weights: Mapping[str, Tensor], data: str) -> MoCoV3:
        """A transformer of the release (facebookresearch/moco-v3, the file's "state_dict"), to look through.

        data: the pictures that its lenses search. ValueError when it is another network, or a part of one.
        """
        sizes = released_sizes(weights)
        values = sizes._asdict() | {"width": sizes.width // TOKEN, "heads": RELEASED_HEADS}
        values |= {"stem": "patch", "data": data}
        facts = Facts(values.pop("channels"), sizes.size)
        model = cls(MoCoV3Params.make(values), facts)
        model.load_state_dict(renamed(weights))
        return model

    @property
    def first(self) -> nn.Module:
        """What pixels go through first."""
        return first_layer(self.query.backbone)

    @property
    def views(self) -> tuple[View, View]:
        p = self.params
        return byol(area=(p.crop, 1.0), blur=p.blur, solarize=p.solarize)

    def view(self, images: Tensor, generator: Generator) -> Tensor:
        """The second kind of view, some solarised, few blurred."""
        return self.views[1](images, generator)

    def features(self, images: Tensor) -> Tensor:
        return self.query.backbone(images)

    def project(self, images: Tensor) -> Tensor:
        """After the head and before the predictor: what keys are, too."""
        return self.query(images)

    def ask(self, images: Tensor) -> Tensor:
        """Queries (B, dim) of views."""
        return self.predictor(self.query(images)).float()

    def attention(self, images: Tensor) -> list[Tensor]:
        """Who looks at whom in each block: (B, heads, 1 + L, 1 + L), the class token first.

        ValueError when the network is no transformer of ours.
        """
        net = self.query.backbone
        return transformer_in(net, self.params.backbone).attention(net.normalise(images))

    @property
    def patch(self) -> int:
        return transformer_in(self.query.backbone, self.params.backbone).patch


def momentum_at(step: int, params: MoCoV3Params) -> float:
    """m_t = 1 - (1 - m_0) (1 + cos(pi t / T)) / 2, from the momentum to 1; where it does not rise, the momentum."""
    return 1 - (1 - params.momentum) * (cosine(step, params.steps) if params.rise else 1)


def train(model: MoCoV3, params: MoCoV3Params, bench: Bench) -> Iterator[Report]:
    data, test = (bench.data(params.data, split, params.size) for split in ("train", "test"))
    readout = Readout(bench, spread(data, params.labels), test, model.eval().features)
    first = model.first.requires_grad_(not params.freeze_patches)
    optimizer = torch.optim.AdamW(decay_groups(model, params.weight_decay), params.lr)
    first.requires_grad_(True)  # Frozen or not, its gradient is told of; if frozen, no optimiser knows of the layer.
    warmup, asking = min(params.warmup, params.steps), (0, 1) if params.symmetric else (0,)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine(step, params.steps, warmup))
    for batch in bench.batches(data, params.batch, params.steps, keep=(optimizer, schedule)):
        model.train()
        seen, momentum = (
            [view(batch.images, bench.generator) for view in model.views],
            momentum_at(bench.done - 1, params),
        )
        queries = [model.ask(seen[place]) for place in asking]
        with torch.no_grad():
            ema_update(model.key, model.query, momentum, copy_buffers=False)
            keys = [model.key(seen[1 - place]) for place in asking]
        loss = symmetric_contrast(queries, keys, params.temperature)
        first.zero_grad()
        bench.step(optimizer, loss, schedule=schedule)
        report: Report = {
            "loss": loss.detach(), "chance": 2 * len(asking) * params.temperature * math.log(params.batch),
            "found": found(queries[0].detach(), keys[0]), "momentum": momentum, "gradient": largest(first),
        }  # fmt: skip
        if bench.due:
            report |= {"one": seen[0][:SHOWN], "two": seen[1][:SHOWN]}
            report["networks_agree"] = agreement(model.eval(), test, bench)
            report |= readout(model.features, model.project, last=bench.done == params.steps)
        yield report


def found(query: Tensor, key: Tensor) -> Tensor:
    """Share of queries whose own key is the nearest of the batch's."""
    nearest = in_batch_logits(query, key, 1.0).argmax(dim=1)
    return (nearest == torch.arange(len(nearest), device=nearest.device)).float().mean()


def largest(layer: nn.Module) -> Tensor:
    """The greatest absolute entry of a layer's gradient."""
    return torch.stack([each.grad.abs().max() for each in layer.parameters() if each.grad is not None]).max()


@torch.no_grad()
def agreement(model: MoCoV3, test: Dataset, bench: Bench) -> Tensor:
    """Mean cosine of what the two networks' heads tell of a picture."""
    images = torch.cat([batch.images for batch in bench.chunks(spread(test, ASKED))])
    return F.cosine_similarity(model.query(images), model.key(images), dim=1).mean()


METHOD = Method(
    params=MoCoV3Params,
    build=MoCoV3,
    train=train,
    embed=MoCoV3.features,
    exhibits=(
        Curves(("loss", "chance"), "Contrast of both views with each other's keys; chance is 4 t log N, of one side "
               "half as much."),
        Curves(("gradient",), "The greatest entry of the first layer's gradient at each step; of a frozen layer, what "
               "nobody follows. Raise the learning rate: where it spikes, look for a dip in the next curves."),
        Curves(("found",), "Share of the first views whose own key is the nearest among the batch's."),
        Curves(("networks_agree",), "Cosine of what both networks' heads tell of a picture: how far the slow one is "
               "behind."),
        Pictures(("one", "two"), "Two views of each picture: the first is always blurred, the second now and then "
                 "solarised."),
        *WORTH,
    ),
    lenses=(HEADS, NEIGHBOURS, PAIRS, MAP, LINEAR_PROBE),
    claim=Claim(
        "Each of two views seeks the other's key: with two losses a step features get better than with one. Measured "
        "as the share of test pictures whose class the nearest of 200 labelled ones know, against a loss in which only "
        "the first view seeks, in as many, cheaper steps (baseline: the network before training). The arms beside it "
        "leave out the predictor, and make tokens by a patch projection that stays at random, as published.",
        figure="neighbours",
        course=COURSE,
        arms={"MoCo v3": {}, "one-sided": {"symmetric": False}, "no predictor": {"predictor": False},
              "frozen patches": {"stem": "patch", "freeze_patches": True}},
        baseline="untrained",
        also=IN_COLOUR,
    ),
    sweeps=(
        Sweep(
            "Stability", {"lr": (2e-3, 6e-3, 2e-2), "freeze_patches": (True, False)},
            "Does a patch projection that stays at random keep training steady when the learning rate grows?",
            {"stem": "patch"},
        ),
    ),
)  # fmt: skip
