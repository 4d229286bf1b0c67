r"""SEER.

Goyal, Caron, Lefaudeux, Xu, Wang, Pai, Singh, Liptchinsky, Misra, Joulin, Bojanowski. 2021. arXiv:2103.01988

Idea. ImageNet was chosen by people: a thousand kinds, as many pictures of each, one thing in the middle. A method that
needs no label may still live on that choice. Here it learns from pictures as they come, each seen about once: SwAV, a
network of a family that grows well, and a stream nobody has sorted.

Equation. $$\begin{gathered}\mathcal L=-\frac1{|A|}\sum_{a\in A}\frac1{V-1}\sum_{v\ne a}\sum_k q^{(a)}_k\log
\mathrm{softmax}_k\big(z_v^\top C/\tau\big)\\ u_j=w_0+w_a\,j,\qquad p_r\propto r^{-s}\end{gathered}$$

Where. $z_v$: what the head makes of view v, a unit vector
$C$: the prototypes, unit vectors
$q^{(a)}$: the code of a large view, found for the batch by Sinkhorn's iteration: each prototype gets its equal share
$A$: the two large crops; $V$: all crops
$\tau$: temperature of the prediction
$u_j$: width of block j of a RegNetY, rounded to the nearest $w_0 w_m^k$: blocks of one width make a stage
$p_r$: how often the r-th kind of picture comes in the stream, $s$ its exponent

Differs. The paper sees a thousand million pictures of the web once, with a network of 700 million weights; here
`stream` draws 38 400 from 10 000 garments by a law, so that what is common comes again: T-shirts are two fifths of it,
ankle boots one in eighty, a fifth are glyphs, texture, copies and negatives. The demo sees it once, at 28 pixels, with
30 prototypes in place of 16 000: a batch of 32 cannot be shared out among more than it holds. SGD in place of LARC,
which is for batches of thousands; the head keeps its batch norm, codes are a little sharper ($\varepsilon$ of 0.03 in
place of 0.05), a large crop keeps half of a picture or more. Precision is the bench's; activations are not computed
twice to save memory. Features are judged by nearest neighbours among few labels, not by fine-tuning on ImageNet.

Expect. The demo takes 59 CPU-seconds of a core. Over three seeds the nearest of 200 labelled pictures know the class of
0.650, 0.558 and 0.620 of the test pictures, against 0.490, 0.526 and 0.460 before training and 0.645 by pixels, which
are hard to beat here. 1000 chosen pictures, each seen 38 times, give 0.635, 0.604 and 0.609, and as many curated ones
as the stream has 0.654, 0.637 and 0.640. So the claim does not show at this size: two seeds of three are for the
stream, by 0.01 and 0.02, the third is against it by 0.05. More pictures do help, by 0.02 to 0.03 in each seed, where
they are curated; tail and noise cost as much again. SwAV's small network in place of this one came to 0.633 and 0.659
on the stream in two seeds (600 steps of 64), one of this family to 0.624 and 0.570. In the demo that ships T-shirts,
0.40 of the stream, have 15 of 30 prototypes mostly to themselves, and three of the ten garments have none. Of objects
in colour, as many of each kind, it learns next to nothing in these steps: the nearest know 0.317, 0.293 and 0.270
(0.300, 0.298 and 0.211 before training, 0.436 by pixels).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Self

import torch
from pydantic import model_validator
from torch import Generator, Tensor

from engine.augment.multicrop import MultiCrop, by_size, simclr_crops
from engine.bench import Bench
from engine.data.base import Dataset, Facts
from engine.data.subset import balanced, labels_of, part, spread
from engine.lenses.features import MAP, NEIGHBOURS
from engine.lenses.few_labels import FEW_LABELS
from engine.lenses.prototypes import CODES, PROTOTYPES
from engine.lenses.stream import OWNERS, STREAM
from engine.losses.swapped import swapped_prediction
from engine.method import Bars, Claim, Curves, Method, Params, Pictures, Report, Sweep, knob
from engine.metrics.owners import owners
from engine.metrics.readout import COURSE, IN_COLOUR, WORTH, Readout
from engine.nets.classifier import Backbone
from engine.nets.normalise import PIXELS, Normalise
from engine.nets.prototypes import Prototypes
from engine.nets.regnet import RegNetY, stages
from engine.ops.choose import host_generator
from engine.ops.schedule import cosine

SHOWN, SORTED = 8, 2000
"""Pictures in an exhibit; pictures of the stream that are sorted by prototype at an evaluation."""


class SEERParams(Params):
    data: str = knob("stream", "pictures as they come: stream, stream:TAIL:NOISE, folder:PATH or unlabelled:PATH")
    pictures: int = knob(0, "different pictures to learn from, as many of each kind, as somebody would choose them; 0: "
                            "all as they come", 0, 10**9)  # fmt: skip
    prototypes: int = knob(30, "groups", 2, 65_536, tiny=4, paper=16_000, log=True)
    epsilon: float = knob(0.03, "softness of the codes: the softer, the less each group must have an equal share",
                          0.005, 1.0, paper=0.05, log=True)  # fmt: skip
    w0: int = knob(24, "RegNetY: width of its first stage", 8, 4096, tiny=8, paper=456)
    depth: int = knob(4, "RegNetY: its blocks", 1, 100, tiny=2, paper=27)
    group: int = knob(8, "RegNetY: channels of a group of its 3x3 convolutions", 1, 1024, paper=264, fold=True)
    batch: int = knob(32, "pictures a step", 2, 65_536, tiny=8, paper=8704)
    steps: int = knob(1200, "optimiser steps; 1200 of 32 see the stream once", 1, 10**7, tiny=3, paper=114_890,
                      unit="steps")  # fmt: skip
    wa: float = knob(24.0, "RegNetY: by how much each block is to be wider than the last", 0.0, 1000.0, tiny=8.0,
                     paper=160.83, fold=True)  # fmt: skip
    wm: float = knob(2.0, "RegNetY: factor from one stage's width to the next", 1.1, 4.0, paper=2.52, fold=True)
    stem: int = knob(16, "RegNetY: channels of the first convolution", 1, 512, tiny=4, paper=32, fold=True)
    first: int = knob(2, "RegNetY: stride of the first stage; 1 for small pictures", 1, 2, fold=True)
    iterations: int = knob(10, "Sinkhorn's iterations", 0, 100, fold=True)
    temperature: float = knob(0.1, "softmax temperature of the prediction", 0.01, 1.0, log=True, fold=True)
    small: int = knob(2, "small crops besides the two large ones", 0, 12, tiny=2, paper=4, fold=True)
    crop: float = knob(0.5, "least share of a picture that a large crop keeps", 0.05, 1.0, paper=0.14, fold=True)
    small_crop: float = knob(0.15, "least share of a picture that a small crop keeps; at most it is `crop`", 0.01, 1.0,
                             paper=0.05, fold=True)  # fmt: skip
    small_size: int = knob(16, "height and width of a small crop", 4, 512, tiny=16, paper=96, unit="px", fold=True)
    strength: float = knob(0.5, "strength of the distortion of colour", 0.0, 2.0, paper=1.0, fold=True)
    lr: float = knob(0.2, "learning rate at its peak", 1e-6, 20.0, paper=9.6, log=True, fold=True)
    warmup: int = knob(50, "steps over which the learning rate rises", 0, 10**6, tiny=1, paper=8000, fold=True)
    weight_decay: float = knob(1e-4, "pull of all weights towards 0", 0.0, 1.0, paper=1e-5, fold=True)
    dim: int = knob(64, "numbers that the head tells of a picture", 2, 8192, tiny=8, paper=256, fold=True)
    norm: bool = knob(True, "batch norm in the head", paper=False, fold=True)
    judged: str = knob("garments", "labelled set, as many pictures of each class, by which features are judged",
                       fold=True)  # fmt: skip
    labels: int = knob(200, "labelled pictures of it that are known", 20, 10**6, tiny=40, fold=True)
    size: int = knob(28, "height and width", 8, 1024, paper=224, unit="px", fold=True)

    @model_validator(mode="after")
    def _a_regnet(self) -> Self:
        self.stages  # noqa: B018  raises where there is none
        return self

    @property
    def stages(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Widths and depths of the stages."""
        return stages(self.w0, self.wa, self.wm, self.depth, self.group)


class SEER(Prototypes):
    """Images (B, C, H, W) in [0, 1] -> scores (B, K); see `Prototypes`."""

    def __init__(self, params: SEERParams, facts: Facts):
        net = RegNetY(facts.channels, *params.stages, group=params.group, stem=params.stem, first=params.first)
        body = Backbone(Normalise(*PIXELS[facts.channels]), net, net.out_features)
        super().__init__(body, params.dim, params.prototypes,
                         epsilon=params.epsilon, iterations=params.iterations, norm=params.norm)  # fmt: skip
        self.params, self.facts = params, facts

    @property
    def crops(self) -> MultiCrop:
        p = self.params
        return simclr_crops(p.crop, p.small_crop, p.small, p.small_size, p.strength)

    def view(self, images: Tensor, generator: Generator) -> Tensor:
        return self.crops.large[0](images, generator)


def train(model: SEER, params: SEERParams, bench: Bench) -> Iterator[Report]:
    stream = bench.data(params.data, "train", params.size)
    if params.pictures:
        dice = host_generator(bench.generator)
        stream = part(stream, bench.once(lambda: balanced(labels_of(stream), params.pictures, dice)))
    known, test = (bench.data(params.judged, split, params.size) for split in ("train", "test"))
    readout = Readout(bench, spread(known, params.labels), test, model.eval().features)
    optimizer = torch.optim.SGD(model.parameters(), params.lr, 0.9, weight_decay=params.weight_decay)
    warmup, crops = min(params.warmup, params.steps), model.crops
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine(step, params.steps, warmup))
    for batch in bench.batches(stream, params.batch, params.steps, keep=(optimizer, schedule)):
        model.train()
        model.renew()
        seen = crops(batch.images, bench.generator)
        scores, codes = model.swap(by_size(model.project, seen))
        loss = swapped_prediction(scores, codes, params.temperature)
        bench.step(optimizer, loss, schedule=schedule)
        report: Report = {
            "loss": loss.detach(), "chance": math.log(params.prototypes),
            "passes": bench.done * params.batch / len(stream),
        }  # fmt: skip
        if bench.due:
            model.eval()
            report |= {"picture": batch.images[:SHOWN], "large": seen[0][:SHOWN], "small": seen[-1][:SHOWN]}
            report |= shared_out(model, stream, bench)
            report |= readout(model.features, model.project, last=bench.done == params.steps)
        yield report


@torch.no_grad()
def shared_out(model: SEER, stream: Dataset, bench: Bench) -> Report:
    """How many groups pictures of the stream are in; of each kind its share of pictures and of prototypes."""
    some, kinds = spread(stream, SORTED), stream.facts.classes or ("anything",)
    scores = torch.cat([model(batch.images) for batch in bench.chunks(some)])
    labels = labels_of(some).to(scores.device) if stream.facts.classes else scores.new_zeros(len(scores)).long()
    share = torch.bincount(scores.argmax(dim=1), minlength=scores.shape[1]).float() / len(scores)
    pictures, prototypes = owners(scores, labels, len(kinds))
    return {
        "groups in use": torch.special.entr(share).sum().exp(),
        "of pictures": pictures, "of prototypes": prototypes, "kind": list(kinds),
    }  # fmt: skip


METHOD = Method(
    params=SEERParams,
    build=SEER,
    train=train,
    embed=SEER.features,
    exhibits=(
        Curves(("loss", "chance"), "Swapped prediction; chance is the logarithm of the number of groups."),
        Curves(("passes",), "How often the whole stream has been seen; the paper stops at 1."),
        Curves(("groups in use",), "How many groups the stream is in (exp of the entropy); 1 is collapse."),
        Pictures(("picture", "large", "small"), "Pictures of the stream, a large and a small crop of each."),
        Bars(("of pictures", "of prototypes", "kind"), "Each kind's share of the stream, and its share of the "
             "prototypes. Since every prototype must get as many pictures, what is common is split into many."),
        *WORTH,
    ),
    lenses=(STREAM, OWNERS, FEW_LABELS, NEIGHBOURS, PROTOTYPES, CODES, MAP),
    claim=Claim(
        "Nobody has to choose pictures first: many that come by themselves, with a long tail and a fifth of noise, "
        "teach more than a few that somebody chose. Measured as the share of test pictures, as many of each class, "
        "whose class the nearest of 200 labelled ones know, by the same network after as many steps: 38 400 pictures "
        "of the stream, each drawn once, against 1000 chosen ones, 100 of each kind, again and again (baseline: the "
        "network before training). Beside them as many curated pictures as the stream has.",
        figure="neighbours",
        course=COURSE,
        arms={
            "uncurated": {},
            "1000 curated": {"data": "garments", "pictures": 1000},
            "as many curated": {"data": "stream:0:0"},
        },
        baseline="untrained",
        also={"objects": IN_COLOUR["objects"] | {"judged": "objects"}},
    ),
    sweeps=(
        Sweep("Tail and noise",
              {"data": ("stream:0:0", "stream:1.5:0", "stream:0:0.2", "stream:1.5:0.2", "stream:3:0.6")},
              "How uncurated may a stream be before features suffer: by the tail, by noise, by both?"),
        Sweep("A few curated", {"pictures": (30, 100, 300, 1000, 3000, 10_000)},
              "How many chosen pictures, seen again and again, teach as much as the stream?", {"data": "garments"}),
        Sweep("Groups", {"prototypes": (15, 30, 60, 120), "data": ("stream", "stream:0:0")},
              "Do more prototypes leave some for what is rare?"),
        Sweep("Width", {"w0": (16, 24, 32)}, "Does a wider network make more of the same stream?"),
    ),
)  # fmt: skip
