r"""SwAV.

Caron, Misra, Mairal, Goyal, Bojanowski, Joulin. NeurIPS 2020. arXiv:2006.09882

Idea. Instead of comparing pictures one by one, sort them into groups while learning, and let the group of one view be
foretold from another view of the same picture. Groups form around prototypes; that each gets its equal share of a batch
(optimal transport) keeps everything from ending in one. Small crops are more views for little cost.

Equation. $$\mathcal L=-\frac1{|A|}\sum_{a\in A}\frac1{V-1}\sum_{v\ne a}\sum_k q^{(a)}_k\log
\mathrm{softmax}_k\big(z_v^\top C/\tau\big),\qquad
Q=\arg\max_{Q\in\mathcal Q}\mathrm{Tr}(Q^\top C^\top Z)+\varepsilon H(Q)$$

Where. $z_v$: what the head makes of view v, a unit vector
$C$: the prototypes, unit vectors
$q^{(a)}$: the code of a large view: a row of $Q$, found for the batch by Sinkhorn's iteration, without gradient
$\mathcal Q$: matrices whose rows sum to 1 and whose columns share the batch equally
$A$: the two large crops; $V$: all crops
$\tau, \varepsilon$: temperature of the prediction, softness of the codes

Differs. The demo is a residual network of 77 000 weights on grey garments of 28 pixels, with 60 prototypes: large crops
keep half of a picture or more, small ones 15 % or more at 16 pixels, since a twentieth of 28 pixels shows nothing.
SGD in place of LARC, which is for batches of thousands; codes are a little sharper ($\varepsilon$ of 0.03 in place of
0.05) and prototypes move from the first step. Features are judged by nearest neighbours among few labelled pictures.

Expect. The demo takes 55 CPU-seconds of a core. Over three seeds the nearest of 200 labelled pictures know the class of
0.693, 0.704 and 0.657 of the test pictures, against 0.645 by pixels and 0.543, 0.503 and 0.483 before training. A
linear probe of the same labels knows 0.748, 0.749 and 0.735. When each view goes where it likes, all are in one group
after 50 steps, the loss is below 0.01, and features end at 0.463, 0.481 and 0.521. Two large crops alone, a third
cheaper, come to 0.691, 0.686 and 0.705: on garments small crops bring nothing, unlike on photographs of many things. Of
objects in colour the nearest know 0.452, 0.478 and 0.460, a linear probe 0.522, 0.548 and 0.550 (pixels: 0.436).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from engine.augment.multicrop import MultiCrop, by_size, simclr_crops
from engine.bench import Bench
from engine.data.base import Dataset, Facts
from engine.data.subset import spread
from engine.lenses.features import MAP, NEIGHBOURS, PAIRS
from engine.lenses.probed import LINEAR_PROBE
from engine.lenses.prototypes import CODES, PROTOTYPES
from engine.losses.swapped import swapped_prediction
from engine.method import Claim, Curves, Method, Params, Pictures, Report, knob
from engine.metrics.readout import COURSE, IN_COLOUR, WORTH, Readout
from engine.nets.classifier import backbone
from engine.nets.prototypes import Prototypes
from engine.ops.schedule import cosine

SHOWN, ASKED = 8, 500
"""Pictures in an exhibit; test pictures asked in the course of training."""


class SwAVParams(Params):
    data: str = knob("garments", "pictures, no labels needed: a set by name, folder:PATH or unlabelled:PATH")
    prototypes: int = knob(60, "groups", 2, 65_536, tiny=4, paper=3000, log=True)
    assign: Literal["sinkhorn", "softmax"] = knob(
        "sinkhorn", "sinkhorn: every group gets its share of a batch; softmax: each view goes where it likes"
    )
    epsilon: float = knob(0.03, "softness of the codes", 0.005, 1.0, paper=0.05, log=True)
    temperature: float = knob(0.1, "softmax temperature of the prediction", 0.01, 1.0, log=True, fold=True)
    small: int = knob(2, "small crops besides the two large ones", 0, 12, tiny=2, paper=6)
    crop: float = knob(0.5, "least share of a picture that a large crop keeps", 0.05, 1.0, paper=0.14)
    batch: int = knob(64, "pictures a step", 2, 65_536, tiny=8, paper=4096)
    steps: int = knob(800, "optimiser steps", 1, 10**7, tiny=3, paper=250_000, unit="steps")
    small_crop: float = knob(0.15, "least share of a picture that a small crop keeps; at most it is `crop`", 0.01, 1.0,
                             paper=0.05, fold=True)  # fmt: skip
    strength: float = knob(0.5, "strength of the distortion of colour", 0.0, 2.0, paper=1.0, fold=True)
    iterations: int = knob(3, "Sinkhorn's iterations", 1, 100, fold=True)
    queue: int = knob(0, "earlier pictures of each large crop that share in the assignment; 0: none", 0, 2**20,
                      fold=True)  # fmt: skip
    queue_from: float = knob(0.1, "share of the training after which they do", 0.0, 1.0, fold=True)
    still: int = knob(0, "first steps in which prototypes stand still", 0, 10**6, tiny=1, paper=313, fold=True)
    small_size: int = knob(16, "height and width of a small crop", 4, 512, tiny=16, paper=96, unit="px", fold=True)
    lr: float = knob(0.2, "learning rate at its peak", 1e-6, 10.0, paper=4.8, log=True, fold=True)
    warmup: int = knob(50, "steps over which the learning rate rises", 0, 10**6, tiny=1, paper=3125, fold=True)
    weight_decay: float = knob(1e-4, "pull of all weights towards 0", 0.0, 1.0, paper=1e-6, fold=True)
    dim: int = knob(64, "numbers that the head tells of a picture", 2, 4096, tiny=8, paper=128, fold=True)
    backbone: str = knob("small", "the network: small, or any of timm's by name", paper="resnet50", fold=True)
    width: int = knob(16, "channels of the small network", 1, 512, tiny=2, fold=True)
    labels: int = knob(200, "labelled pictures by which features are judged", 20, 10**6, tiny=40, fold=True)
    size: int = knob(28, "height and width", 8, 1024, paper=224, unit="px", fold=True)


class SwAV(Prototypes):
    """Images (B, C, H, W) in [0, 1] -> scores (B, K); see `Prototypes`."""

    def __init__(self, params: SwAVParams, facts: Facts):
        net = backbone(params.backbone, facts.channels, width=params.width)
        iterations = 0 if params.assign == "softmax" else params.iterations
        super().__init__(net, params.dim, params.prototypes,
                         epsilon=params.epsilon, iterations=iterations, queue=params.queue)  # fmt: skip
        self.params, self.facts = params, facts

    def view(self, images: Tensor, generator: Generator) -> Tensor:
        return self.crops.large[0](images, generator)

    @property
    def crops(self) -> MultiCrop:
        p = self.params
        return simclr_crops(p.crop, p.small_crop, p.small, p.small_size, p.strength)


def train(model: SwAV, params: SwAVParams, bench: Bench) -> Iterator[Report]:
    data, test = (bench.data(params.data, split, params.size) for split in ("train", "test"))
    readout = Readout(bench, spread(data, params.labels), test, model.eval().features)
    optimizer = torch.optim.SGD(model.parameters(), params.lr, 0.9, weight_decay=params.weight_decay)
    warmup, crops = min(params.warmup, params.steps), model.crops
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine(step, params.steps, warmup))
    for batch in bench.batches(data, params.batch, params.steps, keep=(optimizer, schedule)):
        model.train()
        model.renew()
        model.prototypes.requires_grad_(bench.done >= params.still)
        seen = crops(batch.images, bench.generator)
        with_queue = params.queue > 0 and bench.done >= params.queue_from * params.steps
        scores, codes = model.swap(by_size(model.project, seen), with_queue)
        loss = swapped_prediction(scores, codes, params.temperature)
        bench.step(optimizer, loss, schedule=schedule)
        report: Report = {"loss": loss.detach(), "chance": math.log(params.prototypes)}
        if bench.due:
            sizes = ("large 1", "large 2", "small 1", "small 2")
            report |= {name: view[:SHOWN] for name, view in zip(sizes, seen, strict=False)}
            report |= groups(model.eval(), codes[0], test, bench)
            report |= readout(model.features, model.project, last=bench.done == params.steps)
        yield report


@torch.no_grad()
def groups(model: SwAV, codes: Tensor, test: Dataset, bench: Bench) -> Report:
    """How many groups test pictures are in, and over how many a code (B, K) of a step is spread."""
    images = torch.cat([batch.images for batch in bench.chunks(spread(test, ASKED))])
    share = F.one_hot(model(images).argmax(dim=1), model.params.prototypes).float().mean(dim=0)
    return {
        "groups in use": torch.special.entr(share).sum().exp(),
        "groups in a code": torch.special.entr(codes.float()).sum(dim=1).exp().mean(),
    }  # fmt: skip


METHOD = Method(
    params=SwAVParams,
    build=SwAV,
    train=train,
    embed=SwAV.features,
    exhibits=(
        Curves(("loss", "chance"), "Swapped prediction; chance is the logarithm of the number of groups. A loss of 0 "
               "would mean that every picture is in one group: collapse."),
        Curves(("groups in use",), "How many groups test pictures are in (exp of the entropy); 1 is collapse."),
        Curves(("groups in a code",), "Over how many groups a picture's code is spread."),
        Pictures(("large 1", "large 2", "small 1", "small 2"), "Crops of each picture. Codes come from the large ones "
                 "and are foretold from all."),
        *WORTH,
    ),
    lenses=(NEIGHBOURS, PROTOTYPES, CODES, PAIRS, MAP, LINEAR_PROBE),
    claim=Claim(
        "What keeps groups apart is that each gets an equal share of every batch: where views go where they like, all "
        "end in one. Measured as the share of test pictures whose class the nearest of 200 labelled ones know, with "
        "shares by Sinkhorn's iteration and with a plain softmax (baseline: the network before training).",
        figure="neighbours",
        course=COURSE,
        arms={"equal shares": {}, "as they like": {"assign": "softmax"}, "two large crops": {"small": 0}},
        baseline="untrained",
        also=IN_COLOUR,
    ),
)  # fmt: skip
