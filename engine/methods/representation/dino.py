r"""DINO.

Caron, Touvron, Misra, Jégou, Mairal, Bojanowski, Joulin. ICCV 2021. arXiv:2104.14294

Idea. A network learns from its own slow average: shown one crop of a picture, the student is to say what the teacher
says of another, in classes that nobody named. Two opposite forces on the teacher keep this from collapsing: centring,
so that no class takes everything, and sharpening, so that not all classes are equally likely.

Equation. $$\mathcal L=-\frac1{2(V-1)}\sum_{t\in\{1,2\}}\sum_{s\ne t}
\mathrm{softmax}\Big(\frac{g_{\bar\theta}(x_t)-c}{\tau_t}\Big)^{\!\top}
\log\mathrm{softmax}\Big(\frac{g_\theta(x_s)}{\tau_s}\Big),\qquad
\bar\theta\leftarrow\lambda\bar\theta+(1-\lambda)\theta$$

Where. $x_t$: the two large crops, which the teacher sees
$x_s$: all V crops, which the student sees, small ones too
$g_\theta, g_{\bar\theta}$: scores for K classes by student and teacher
$c$: the centre, a running mean of the teacher's scores, where `centre` is the mean
$\tau_t, \tau_s$: temperatures of teacher and student; sharpening is $\tau_t<\tau_s$
$\lambda$: the momentum, which rises to 1 in the course of training

Differs. The demo is a transformer of 0.13 million weights with 16 tokens on grey garments of 32 pixels, made by three
convolutions of stride 2 as Xiao et al. have them (NeurIPS 2021, arXiv:2106.14881), not by one map of each patch, and
128 classes in place of 65 536. It trains for 700 steps of 64 pictures, which is too short for a slow teacher: momentum
begins at 0.9. So quick a teacher forgets most classes if only its mean is taken off; its scores are evened out by
Sinkhorn and Knopp's equal shares, as in DINOv2 (Oquab et al., TMLR 2024, arXiv:2304.07193). Two large crops alone leave
time for more steps. The head has batch norm, which the paper has for convolutional networks only. `predict=features` is
BYOL (Grill et al., NeurIPS 2020, arXiv:2006.07733): no classes, no centre, no temperature; the student foretells the
teacher's unit vector instead.

Expect. The demo takes 56 CPU-seconds of a core. Over three seeds the nearest of 200 labelled pictures know the class of
0.666, 0.674 and 0.656 of the test pictures (0.444, 0.488 and 0.407 before training, 0.636 by pixels), a linear probe
0.712, 0.721 and 0.708. Of log K = 4.85 nats a picture's entropy ends at 1.5, that of all at 4.8. Without sharpening
both stay at 4.85, and features are worth less than before training: 0.322, 0.340, 0.394. Without centring and batch
norm one class has all after 50 steps, both entropies are 0, and features stay at 0.517, 0.521 and 0.506. Evened out by
the mean, with a slower teacher, it comes to 0.587, 0.614 and 0.587. On objects in colour the nearest know 0.424, 0.476
and 0.414, a linear probe 0.510, 0.609 and 0.538 (pixels: 0.436).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, Self

import torch
import torch.nn.functional as F
from pydantic import model_validator
from torch import Generator, Tensor, nn

from engine.augment.multicrop import MultiCrop, by_size
from engine.augment.views import Blur, Crop, Grey, Jitter, Solarize, View
from engine.bench import Bench
from engine.data.base import Dataset, Facts
from engine.data.subset import spread
from engine.lenses.attention import HEADS
from engine.lenses.features import MAP, NEIGHBOURS, PAIRS
from engine.lenses.opinions import OPINIONS
from engine.lenses.probed import LINEAR_PROBE
from engine.losses.self_distillation import moved_centre, opinion, self_distillation, spreads, unit_regression
from engine.losses.swapped import swapped_prediction
from engine.method import Claim, Curves, Method, Params, Pictures, Report, knob
from engine.metrics.neighbours import embed_all
from engine.metrics.readout import ASKED, COURSE, IN_COLOUR, WORTH, Readout
from engine.nets.class_head import ClassHead
from engine.nets.classifier import Backbone, backbone
from engine.nets.projection import projection
from engine.nets.transformer import Stem, check_sizes, transformer, transformer_in
from engine.ops.decay import decay_groups
from engine.ops.ema import ema_update, follower
from engine.ops.schedule import cosine
from engine.ops.sinkhorn import sinkhorn

SHOWN = 8
"""Pictures in an exhibit."""
TOKEN = 4
"""Numbers a token of the transformer for each channel of the small network."""


class DINOParams(Params):
    data: str = knob("garments", "pictures, no labels needed: a set by name, folder:PATH or unlabelled:PATH")
    predict: Literal["classes", "features"] = knob("classes", "what is foretold: classes, or plain features (BYOL)")
    centre: Literal["sinkhorn", "mean", "none"] = knob(
        "sinkhorn", "classes: evened out by equal shares of pictures, or by taking their mean off", paper="mean"
    )  # fmt: skip
    teacher_temperature: float = knob(0.03, "classes: low is sharp, 1 is not at all", 0.005, 10.0, paper=0.07, log=True)
    momentum: float = knob(0.9, "how slowly the teacher follows at first; 0: it is the student", 0.0, 1.0, paper=0.996)
    predictor: bool = knob(True, "features: the student foretells by a small network of its own")
    stop_gradient: bool = knob(True, "features: the teacher's are foretold; off: the student's own, which learn, too")
    steps: int = knob(700, "optimiser steps", 1, 10**7, tiny=3, paper=125_000, unit="steps")
    classes: int = knob(128, "classes that it may invent", 2, 2**20, tiny=8, paper=65_536, log=True, fold=True)
    batch: int = knob(64, "pictures a step", 2, 65_536, tiny=8, paper=1024, fold=True)
    small: int = knob(0, "small crops besides the two large ones", 0, 12, tiny=1, paper=8, fold=True)
    crop: float = knob(0.3, "least share a large crop keeps, most a small one does", 0.05, 1.0, paper=0.4, fold=True)
    small_crop: float = knob(0.15, "least share of a picture that a small crop keeps", 0.01, 1.0, paper=0.05, fold=True)
    small_size: int = knob(16, "height and width of a small crop", 4, 512, paper=96, unit="px", fold=True)
    strength: float = knob(1.0, "strength of the distortion of colour", 0.0, 2.0, fold=True)
    blur: bool = knob(False, "crops are blurred and one is solarised, as suits photographs", paper=True, fold=True)
    student_temperature: float = knob(0.1, "classes: the student's temperature", 0.01, 10.0, log=True, fold=True)
    first_temperature: float = knob(0.04, "classes: the teacher's before it warms up", 0.005, 10.0, log=True, fold=True)
    temperature_warmup: int = knob(0, "steps that this takes; 0: none", 0, 10**7, tiny=2, paper=37_500, fold=True)
    centre_momentum: float = knob(0.9, "how slowly the centre follows", 0.0, 1.0, fold=True)
    still: int = knob(30, "first steps in which the last layer stands still", 0, 10**6, tiny=1, paper=1250, fold=True)
    lr: float = knob(3e-3, "learning rate at its peak", 1e-6, 1.0, paper=2e-3, log=True, fold=True)
    warmup: int = knob(30, "steps over which the learning rate rises", 0, 10**6, tiny=1, paper=12_500, fold=True)
    weight_decay: float = knob(0.04, "pull of weights, not biases, towards 0, at first", 0.0, 1.0, fold=True)
    last_decay: float = knob(0.4, "and at the end", 0.0, 1.0, fold=True)
    clip: float = knob(3.0, "largest norm of a gradient; 0: any", 0.0, 1000.0, fold=True)
    hidden: int = knob(128, "width of the head's hidden layers", 2, 2**16, tiny=8, paper=2048, fold=True)
    head_norm: bool = knob(True, "batch norm in the head", paper=False, fold=True)
    dim: int = knob(64, "numbers before the last layer, or features to foretell", 2, 4096, tiny=8, paper=256, fold=True)
    backbone: str = knob("vit", "the network: vit, small, or any of timm's by name", fold=True)
    stem: Stem = knob("convolutional", "what makes tokens: convolutions, or maps of patches", paper="patch", fold=True)
    patch: int = knob(8, "side of the small transformer's patches", 1, 64, paper=16, unit="px", fold=True)
    width: int = knob(16, "channels, or a quarter of the transformer's width", 1, 512, tiny=2, paper=96, fold=True)
    depth: int = knob(2, "blocks of the small transformer", 1, 64, tiny=1, paper=12, fold=True)
    heads: int = knob(4, "its attention heads, which divide its width", 1, 64, paper=6, fold=True)
    labels: int = knob(200, "labelled pictures by which features are judged", 20, 10**6, tiny=40, fold=True)
    size: int = knob(32, "height and width", 8, 1024, paper=224, unit="px", fold=True)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.small_crop > self.crop:
            raise ValueError(f"small_crop {self.small_crop} is more than crop {self.crop}; make it smaller")
        if self.backbone == "vit":
            sides = {"size": self.size} | ({"small_size": self.small_size} if self.small else {})
            check_sizes(sides, patch=self.patch, width=TOKEN * self.width, heads=self.heads, stem=self.stem)
        return self


def network(params: DINOParams, facts: Facts) -> Backbone:
    """The small transformer, whose features are its class token, or a network by name."""
    p = params
    if p.backbone != "vit":
        return backbone(p.backbone, facts.channels, width=p.width)
    sizes = {"size": facts.size, "patch": p.patch, "width": TOKEN * p.width, "depth": p.depth, "heads": p.heads}
    return transformer(facts.channels, **sizes, stem=p.stem)


class Network(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> what is foretold of them: class scores (B, K), or features (B, dim)."""

    def __init__(self, params: DINOParams, facts: Facts):
        super().__init__()
        self.backbone = network(params, facts)
        inputs = self.backbone.out_features
        self.head: nn.Module = (
            ClassHead(inputs, params.hidden, params.dim, params.classes, params.head_norm)
            if params.predict == "classes"
            else projection((inputs, params.hidden, params.dim))
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images)).float()


class DINO(nn.Module):
    """The student, the teacher that follows it, the centre (K,), and BYOL's predictor. Looked through, it is the
    teacher."""

    centre: Tensor

    def __init__(self, params: DINOParams, facts: Facts):
        super().__init__()
        self.params, self.facts = params, facts
        self.student = Network(params, facts)
        self.teacher = follower(self.student)
        foretells = params.predict == "features" and params.predictor
        self.predictor = projection((params.dim, params.hidden, params.dim)) if foretells else nn.Identity()
        self.register_buffer("centre", torch.zeros(params.classes))

    def features(self, images: Tensor) -> Tensor:
        return self.teacher.backbone(images)

    def project(self, images: Tensor) -> Tensor:
        """The teacher's opinion (B, K), or unit features (B, dim)."""
        if self.params.predict == "features":
            return F.normalize(self.teacher(images), dim=1)
        return opinion(self.teacher(images), self.centre, self.params.teacher_temperature)

    def scores(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Class scores (B, K) by student and teacher, not centred. ValueError: it foretells features."""
        if self.params.predict == "features":
            raise ValueError("this network foretells features, not classes; take one trained with predict=classes")
        return self.student(images), self.teacher(images)

    @property
    def patch(self) -> int:
        return transformer_in(self.teacher.backbone, self.params.backbone).patch

    def attention(self, images: Tensor) -> list[Tensor]:
        """Of the teacher: see `engine.lenses.attention`. ValueError: it is no transformer."""
        net = self.teacher.backbone
        return transformer_in(net, self.params.backbone).attention(net.normalise(images))

    def view(self, images: Tensor, generator: Generator) -> Tensor:
        return self.crops.large[0](images, generator)

    @property
    def crops(self) -> MultiCrop:
        """Two large crops and the small ones (Caron et al. 2021, appendix: BYOL's distortions)."""
        p = self.params
        jitter = Jitter(0.4 * p.strength, 0.4 * p.strength, 0.2 * p.strength, 0.1 * p.strength)

        def view(area: tuple[float, float], blur: float, solarize: float, size: int | None = None) -> View:
            photographic = (Blur(blur), Solarize(solarize)) if p.blur else ()
            return View((Crop(area, size=size), jitter, Grey(0.2), *photographic))

        large = view((p.crop, 1.0), 1.0, 0.0), view((p.crop, 1.0), 0.1, 0.2)
        return MultiCrop(large, (view((p.small_crop, p.crop), 0.5, 0.0, p.small_size),) * p.small)

    def temperature(self, step: int) -> float:
        """The teacher's, at a step."""
        p = self.params
        gone = min(1.0, step / p.temperature_warmup) if p.temperature_warmup else 1.0
        return p.first_temperature + (p.teacher_temperature - p.first_temperature) * gone

    def loss(self, seen: list[Tensor], step: int) -> Tensor:
        """Of the crops of a step, the two large ones first; moves the centre."""
        told, p = by_size(self.student, seen), self.params
        with torch.no_grad():
            given = by_size(self.teacher, seen[:2])
        if p.predict == "features":
            foretold = self.predictor(torch.cat(told)).chunk(len(told))
            return unit_regression(foretold, given if p.stop_gradient else told[:2])
        if p.centre == "sinkhorn":
            opinions = sinkhorn(torch.cat(given), self.temperature(step)).chunk(len(given))
            loss = swapped_prediction(told, opinions, p.student_temperature)
        else:
            loss = self_distillation(told, given, self.centre, p.student_temperature, self.temperature(step))
        if p.centre != "none":  # single pictures, which have no shares, are looked at by the mean
            self.centre.copy_(moved_centre(self.centre, given, p.centre_momentum))
        return loss


def train(model: DINO, params: DINOParams, bench: Bench) -> Iterator[Report]:
    data, test = (bench.data(params.data, split, params.size) for split in ("train", "test"))
    known, asked = spread(data, params.labels), spread(test, ASKED)
    readout = Readout(bench, known, test, model.eval().features)
    learned = nn.ModuleList([model.student, model.predictor])
    optimizer = torch.optim.AdamW(decay_groups(learned, params.weight_decay), params.lr)
    warmup, crops = min(params.warmup, params.steps), model.crops
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine(step, params.steps, warmup))
    for batch in bench.batches(data, params.batch, params.steps, keep=(optimizer, schedule)):
        model.train()
        step, falling = bench.done - 1, cosine(bench.done - 1, params.steps)
        decay = params.last_decay + (params.weight_decay - params.last_decay) * falling
        optimizer.param_groups[0]["weight_decay"] = decay
        if isinstance(model.student.head, ClassHead):
            model.student.head.directions.requires_grad_(step >= params.still)
        seen = crops(batch.images, bench.generator)
        loss = model.loss(seen, step)
        bench.step(optimizer, loss, clip=params.clip, schedule=schedule)
        ema_update(model.teacher, model.student, 1 - (1 - params.momentum) * falling, copy_buffers=False)
        chance = math.log(params.classes) if params.predict == "classes" else 2.0
        report: Report = {"loss": loss.detach(), "chance": chance}
        if bench.due:
            sizes = ("large 1", "large 2", "small 1", "small 2")
            report |= {name: view[:SHOWN] for name, view in zip(sizes, seen, strict=False)}
            report |= readout(model.eval().features, model.project, last=bench.done == params.steps)
            if params.predict == "classes":
                report |= entropies(model, asked, bench)
        yield report


@torch.no_grad()
def entropies(model: DINO, asked: Dataset, bench: Bench) -> Report:
    """How undecided the teacher is about a test picture, and how evenly its opinions use the classes, in nats."""
    opinions, _ = embed_all(model.project, bench.chunks(asked))
    of_one, of_all = spreads(opinions)
    return {"entropy of a picture": of_one, "entropy of all": of_all, "log K": math.log(model.params.classes)}


METHOD = Method(
    params=DINOParams,
    build=DINO,
    train=train,
    embed=DINO.features,
    exhibits=(
        Curves(("loss", "chance"), "Cross-entropy with the teacher's opinion; chance is the logarithm of the number of "
               "classes. A loss of 0, or one that stays at chance, would be collapse."),
        Curves(("entropy of a picture", "entropy of all", "log K"), "Whether it collapses. Low of a picture and high "
               "of all is healthy. Both at 0: one class for all. Both at log K: no opinion about any."),
        Pictures(("large 1", "large 2"), "The two large crops of each picture, which teacher and student both see."),
        Pictures(("small 1",), "A small crop of each picture, where there are any: only the student sees it."),
        *WORTH,
    ),
    lenses=(HEADS, OPINIONS, NEIGHBOURS, PAIRS, MAP, LINEAR_PROBE),
    claim=Claim(
        "Two forces hold each other: without sharpening no picture gets a class, without centring one class takes "
        "all. Measured as the share of test pictures whose class the nearest of 200 labelled ones know. Centring "
        "is taken away with batch norm, which does a part of its work; the last arm evens classes out by the mean, as "
        "published (baseline: the network before training).",
        figure="neighbours",
        course=(*COURSE, "entropy of a picture", "entropy of all"),
        arms={
            "DINO": {}, "no sharpening": {"teacher_temperature": 1.0},
            "no centring": {"centre": "none", "head_norm": False},
            "mean as centre": {"centre": "mean", "momentum": 0.99, "teacher_temperature": 0.04},
        },
        baseline="untrained",
        also=IN_COLOUR,
    ),
)  # fmt: skip
