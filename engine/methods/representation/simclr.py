r"""SimCLR.

Chen, Kornblith, Norouzi, Hinton. ICML 2020 (v2: Chen et al., NeurIPS 2020). arXiv:2002.05709

Idea. Two random views of one picture must be recognised as each other among all other views of the batch. What is
compared is the output of a small head that is thrown away afterwards; what is kept lies before it. No queue and no
second network: strong distortions, composed, and many other pictures in the batch do the work.

Equation. $$\ell_{i,j}=-\log\frac{\exp(\mathrm{sim}(z_i,z_j)/\tau)}
{\sum_{k\ne i}\exp(\mathrm{sim}(z_i,z_k)/\tau)}$$

Where. $z_i, z_j$: what the head makes of two views of a picture
$\mathrm{sim}$: the cosine
$N$: pictures in a batch; each view has one partner and $2N-2$ strangers
$\tau$: the temperature; the smaller, the more the hardest strangers count

Differs. The demo is a residual network of 77 000 weights on grey garments of 28 pixels: crops keep three tenths of a
picture or more, there is no hue to distort and no blur, and a batch of 128 gives 254 strangers where the paper has
8190. SGD with momentum in place of LARS, which is for batches of thousands; the head is free of batch norm, with which
nearest neighbours were better after the head than before it. Features are judged by nearest neighbours among few
labelled pictures. `negatives` off leaves only the pull between partners, to see what the strangers are for.

Expect. The demo takes 52 CPU-seconds of a core. Over three seeds the nearest of 200 labelled pictures know the class of
0.685, 0.702 and 0.689 of the test pictures, against 0.645 by pixels and 0.543, 0.503 and 0.483 before training. A
linear probe of the same labels knows 0.733, 0.729 and 0.734. With crops alone the nearest know 0.509, with distortion
alone 0.584 on average: neither teaches much by itself. Without negatives the loss is below 0.01 after 20 steps, what
the head tells is one point, and features stay where they began (0.509). Without a head one seed came to 0.694, so at
this size the head brings nothing to nearest neighbours; a linear reader of 8000 labels found 0.807 with it and 0.776
without, of that seed. Of objects in colour the nearest know 0.753, 0.688 and 0.721, a linear probe 0.826, 0.787 and
0.825 (pixels: 0.436).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from engine.augment.views import simclr
from engine.bench import Bench
from engine.data.base import Dataset, Facts
from engine.data.subset import spread
from engine.lenses.features import MAP, NEIGHBOURS, PAIRS
from engine.lenses.probed import LINEAR_PROBE
from engine.losses.contrastive import nt_xent
from engine.method import Claim, Curves, Method, Params, Pictures, Report, knob
from engine.metrics.embedding import alignment, uniformity
from engine.metrics.readout import COURSE, IN_COLOUR, WORTH, Readout
from engine.nets.classifier import backbone
from engine.nets.projection import projection
from engine.ops.schedule import cosine

SHOWN, ASKED = 8, 500
"""Pictures in an exhibit; test pictures asked in the course of training."""


class SimCLRParams(Params):
    data: str = knob("garments", "pictures, no labels needed: a set by name, folder:PATH or unlabelled:PATH")
    temperature: float = knob(0.2, "softmax temperature", 0.01, 1.0, paper=0.1, log=True)
    crop: float = knob(0.3, "least share of a picture that a view keeps; 1: no crop", 0.05, 1.0, paper=0.08)
    strength: float = knob(0.5, "strength of the distortion of brightness, contrast and colour", 0.0, 2.0, paper=1.0)
    head: int = knob(2, "layers of the head; 0: none, 1: linear; v2 of the paper has 3", 0, 4)
    negatives: bool = knob(True, "push views of other pictures away; without, all pictures end in one point")
    batch: int = knob(128, "pictures a step, each other's strangers", 2, 65_536, tiny=8, paper=4096)
    steps: int = knob(600, "optimiser steps", 1, 10**7, tiny=3, paper=31_250, unit="steps")
    lr: float = knob(0.12, "learning rate at its peak", 1e-6, 10.0, log=True, fold=True)
    warmup: int = knob(50, "steps over which the learning rate rises", 0, 10**6, tiny=1, paper=3125, fold=True)
    weight_decay: float = knob(1e-4, "pull of all weights towards 0", 0.0, 1.0, paper=1e-6, fold=True)
    blur: float = knob(0.0, "chance that a view is blurred", 0.0, 1.0, paper=0.5, fold=True)
    dim: int = knob(64, "numbers that the head tells of a picture", 2, 4096, tiny=8, paper=128, fold=True)
    backbone: str = knob("small", "the network: small, or any of timm's by name", paper="resnet50", fold=True)
    width: int = knob(16, "channels of the small network", 1, 512, tiny=2, fold=True)
    labels: int = knob(200, "labelled pictures by which features are judged", 20, 10**6, tiny=40, fold=True)
    size: int = knob(28, "height and width", 8, 1024, paper=224, unit="px", fold=True)


class SimCLR(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> z (B, dim). What is used afterwards is `features`, before the head."""

    def __init__(self, params: SimCLRParams, facts: Facts):
        super().__init__()
        self.params, self.facts = params, facts
        self.backbone = backbone(params.backbone, facts.channels, width=params.width)
        self.backbone.to(memory_format=torch.channels_last)  # on a CPU, too, the small network is faster so
        width = self.backbone.out_features
        self.head = projection((width,) * params.head + (params.dim,) if params.head else (width,), norm=False)
        self.view = simclr(strength=params.strength, area=(params.crop, 1.0), blur=params.blur)

    def features(self, images: Tensor) -> Tensor:
        return self.backbone(images)

    def project(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))

    forward = project


def train(model: SimCLR, params: SimCLRParams, bench: Bench) -> Iterator[Report]:
    data, test = (bench.data(params.data, split, params.size) for split in ("train", "test"))
    readout = Readout(bench, spread(data, params.labels), test, model.eval().features)
    optimizer = torch.optim.SGD(model.parameters(), params.lr, 0.9, weight_decay=params.weight_decay)
    warmup = min(params.warmup, params.steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine(step, params.steps, warmup))
    for batch in bench.batches(data, params.batch, params.steps, keep=(optimizer, schedule)):
        model.train()
        views = [model.view(batch.images, bench.generator) for _ in range(2)]
        one, two = model(torch.cat(views)).float().chunk(2)
        loss = nt_xent(one, two, params.temperature) if params.negatives else alignment(one, two)
        bench.step(optimizer, loss, schedule=schedule)
        report: Report = {"loss": loss.detach(), "chance": math.log(2 * params.batch - 1)}
        if bench.due:
            report |= dict(zip(("one", "two"), (view[:SHOWN] for view in views), strict=True))
            report |= readout(model.eval().features, model.project, last=bench.done == params.steps)
            report |= spread_out(model, test, bench)
        yield report


@torch.no_grad()
def spread_out(model: SimCLR, test: Dataset, bench: Bench) -> Report:
    """How near partners lie, and how evenly pictures cover the sphere."""
    images = torch.cat([batch.images for batch in bench.chunks(spread(test, ASKED))])
    dice = torch.Generator(bench.device).manual_seed(0)
    one, two = (model.project(model.view(images, dice)) for _ in range(2))
    return {"alignment": alignment(one, two), "uniformity": uniformity(one)}


METHOD = Method(
    params=SimCLRParams,
    build=SimCLR,
    train=train,
    embed=SimCLR.features,
    exhibits=(
        Curves(("loss", "chance"), "NT-Xent; chance is log(2B - 1). Without negatives it is the distance of partners, "
               "and falls to 0 at once: everything has become one point."),
        Curves(("alignment",), "Mean squared distance of two views of a picture on the sphere: 0 is the same point."),
        Curves(("uniformity",), "How evenly pictures cover the sphere; the more negative the better, 0 is collapse."),
        Pictures(("one", "two"), "Two views of each picture, as the loss compares them."),
        *WORTH,
    ),
    lenses=(NEIGHBOURS, PAIRS, MAP, LINEAR_PROBE),
    claim=Claim(
        "No single distortion is enough: what teaches is crops composed with distorted brightness and contrast. "
        "Measured as the share of test pictures whose class the nearest of 200 labelled ones know, against views that "
        "are cropped only (baseline: the network before training).",
        figure="neighbours",
        course=COURSE,
        arms={"both": {}, "crop only": {"strength": 0.0}, "distortion only": {"crop": 1.0},
              "no negatives": {"negatives": False}},
        baseline="untrained",
        also=IN_COLOUR,
    ),
)  # fmt: skip
