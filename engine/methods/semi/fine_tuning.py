r"""Fine-tuning on few labels.

Chen, Kornblith, Swersky, Norouzi, Hinton. NeurIPS 2020 (SimCLR v2). arXiv:2006.10029

Idea. First learn from pictures without labels, then go on from there with the few that have one. The whole network is
tuned, from a layer inside the head with which it was pre-trained, not only a new last layer. The fewer the labels, the
more is gained over the same network that begins at random.

Equation. $$\mathcal L=-\frac1B\sum_{i=1}^B\sum_{c}\Big((1-\varepsilon)\,[c=y_i]+\frac{\varepsilon}{C}\Big)
\log\mathrm{softmax}\big(W\,\sigma(W_1 f(\tilde x_i))\big)_c$$

Where. $f$: the backbone, as it was pre-trained or at random
$W_1$: the first layer of the head it was pre-trained with, which stays; $\sigma$: ReLU
$W$: the new last layer, which begins at zero
$\tilde x_i, y_i$: a labelled picture, moved a little and mirrored, and its label
$\varepsilon$: label smoothing

Differs. The paper tunes residual networks of up to 795 million weights on ImageNet, from the first of three layers of
the head. Here it is one of 77 000 weights that begins as the demo of SimCLR or of another method, or as a checkpoint,
with the first of two layers; AdamW in place of LARS, and what was pre-trained learns at three tenths of the rate of the
rest. Batch norm in a head is made part of its linear maps. Pictures are moved by a pixel and mirrored, not cropped. The
third step, to distil what was tuned into another network with pictures that have no label, is left out: see
Self-training. Begun at random, with few labels or all of them, this is the supervised training by which methods that
learn without labels are judged: the same network, distortion and number of steps.

Expect. The demo takes 14 CPU-seconds of a core. Over three seeds, which draw other labels, 200 of them tune SimCLR to
know 0.771, 0.773 and 0.787 of the test pictures. From scratch, with as many steps, it is 0.733, 0.730 and 0.757; with
five times as many, so that as many pictures pass as in SimCLR's training and tuning together, 0.753, 0.738 and 0.766. A
linear reader of the frozen network knows 0.744, 0.747 and 0.759, a last layer that learned by steps 0.740, 0.734 and
0.752. All 10 000 labels from scratch come to 0.827, 0.832 and 0.825 in as many steps. In a sweep of two seeds tuning
gained 10.8 points over scratch with 20 labels, 8.4 with 50, 4.1 with 200, 0.5 with 1000 and 1.5 with all; over the
linear reader 0.5 with 20, 1.3 with 50 and 2.7 with 200. All 200 are known long before the end. With crops of six tenths
or more in place of moves by a pixel, the tuned network was no better than the linear reader (0.743 of one seed, in 400
steps). Whether the layer of the head stays was within the noise (0.771 with it, 0.767 without). Other starts, of one
seed: SwAV 0.789, MoCo 0.757, ReLIC 0.757. The gain hangs on the distortion, which was chosen by seed 0: with moves of
up to three pixels tuning came to 0.753 of it and scratch to 0.749, so that distortion does much of what pre-training
does. Of the objects in colour, only twenty before many backgrounds, 200 labels from scratch teach to know 0.976, 0.979
and 0.956, all labels 0.988, 0.998 and 0.990: labels say at once what counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from engine.augment.views import crop_flip, weak
from engine.bench import Bench
from engine.data.base import Dataset, Facts
from engine.data.subset import balanced, labels_in, labels_of, part, spread
from engine.lenses.features import MAP, NEIGHBOURS
from engine.lenses.label_curves import LABELS
from engine.lenses.probed import LINEAR_PROBE
from engine.method import Bars, Claim, Curves, Method, Params, Pictures, Report, Sweep, knob
from engine.metrics.answers import accuracy_of
from engine.metrics.classification import accuracy
from engine.metrics.neighbours import PIXELS, embed_all, knn_accuracy
from engine.metrics.readers import linear_probe
from engine.metrics.readout import IN_COLOUR
from engine.nets.classifier import backbone
from engine.nets.projection import plain_layers
from engine.ops.decay import layerwise_groups
from engine.ops.schedule import cosine
from engine.trained import backbone_and_head

RANDOM = "random"
SHOWN, ASKED = 8, 2000
"""Pictures in an exhibit; test pictures, and labelled ones, that are asked in the course of training."""


class FineTuningParams(Params):
    data: str = knob("garments", "labelled pictures: a set by name, or folder:PATH with a folder a class")
    labels: int = knob(200, "pictures that keep their label, evenly over the classes; 0: all", 0, 10**7, tiny=20,
                       paper=12_811)  # fmt: skip
    start: str = knob(
        "representation.simclr", "what the network begins as: random, a method whose demo ships, or a checkpoint file"
    )
    frozen: bool = knob(False, "let only the new last layer learn: a linear probe")
    kept: int = knob(1, "layers of the head of pre-training that stay; 0: none", 0, 3, paper=1)
    slower: float = knob(0.3, "learning rate of what was pre-trained, as a share of that of the rest", 1e-3, 1.0,
                         paper=1.0, log=True)  # fmt: skip
    crop: float = knob(1.0, "least share of a picture that a random crop keeps; 1: no crop", 0.05, 1.0, paper=0.08,
                       fold=True)  # fmt: skip
    shift: float = knob(0.05, "how far pictures are moved at most, as a share of their side", 0.0, 0.5, paper=0.0)
    mirror: float = knob(0.5, "chance that a picture is mirrored", 0.0, 1.0, paper=0.5, fold=True)
    steps: int = knob(300, "optimiser steps", 1, 10**7, tiny=3, paper=750, unit="steps")
    smoothing: float = knob(0.1, "share of each label that is spread over all classes", 0.0, 0.9, paper=0.0, fold=True)
    batch: int = knob(128, "pictures a step", 2, 65_536, tiny=8, paper=1024, fold=True)
    lr: float = knob(4e-3, "learning rate at its peak", 1e-6, 10.0, log=True, fold=True)
    weight_decay: float = knob(0.01, "pull of weights, not of biases and norms, to 0", 0.0, 1.0, paper=0.0, fold=True)
    backbone: str = knob("small", "the network: small, or any of timm's by name", paper="resnet50", fold=True)
    width: int = knob(16, "channels of the small network", 1, 512, fold=True)
    size: int = knob(28, "height and width", 8, 1024, paper=224, unit="px", fold=True)


class FineTuning(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> logits (B, classes): a backbone, the layers that stay of the head with which it
    was pre-trained, and a new linear map. It is built at random; `begin_as` gives it its start."""

    def __init__(self, params: FineTuningParams, facts: Facts):
        super().__init__()
        classes = len(facts.classes)
        if classes < 2:
            raise ValueError(f"data: {params.data} has fewer than two classes; choose a labelled source")
        if 0 < params.labels < classes:
            raise ValueError(
                f"labels: {params.labels} are too few for {classes} classes; give each one at least, or 0 for all"
            )
        self.params, self.facts = params, facts
        self.backbone = backbone(params.backbone, facts.channels, width=params.width)
        self.backbone.to(memory_format=torch.channels_last)  # on a CPU, too, the small network is faster so
        width = self.backbone.out_features
        self.kept = nn.Sequential()
        for _ in range(params.kept):
            self.kept.extend((nn.Linear(width, width), nn.ReLU()))
        self.head = nn.Linear(width, classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def features(self, images: Tensor) -> Tensor:
        return self.kept(self.backbone(images))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))

    project = forward

    def view(self, images: Tensor, generator: Generator) -> Tensor:
        p = self.params
        cropped = crop_flip(area=(p.crop, 1.0), flip=0.0)(images, generator) if p.crop < 1 else images
        return weak(p.shift, p.mirror)(cropped, generator)

    def learning(self, yes: bool = True) -> None:
        """Into training mode or out of it; what is frozen stays as it is, its batch statistics among them."""
        self.train(yes)
        if self.params.frozen:
            self.backbone.eval()


def begin_as(model: FineTuning, name: str) -> None:
    """Give `model` the backbone, and as many layers of the head as it keeps, of what was trained under this name.

    Batch norm in the head becomes part of the linear maps. ValueError: there is no such network, it takes other
    pictures, is of another shape, or has too few layers in its head.
    """
    found, head = backbone_and_head(name, model.facts)
    count, layers = model.params.kept, plain_layers(head)
    if count >= max(len(layers), 1):
        raise ValueError(
            f"kept: the head of {name} has {len(layers)} layers, the last of which is thrown away; "
            f"keep {max(len(layers) - 1, 0)} or fewer, got {count}"
        )
    try:
        model.backbone.load_state_dict(found.state_dict())
        for mine, its in zip((each for each in model.kept if isinstance(each, nn.Linear)), layers, strict=False):
            mine.load_state_dict(its.state_dict())
    except RuntimeError:
        raise ValueError(
            f"start: {name} is a network of another shape than backbone {model.params.backbone}, width "
            f"{model.params.width}; set both as it has them, or begin as another one"
        ) from None


def chosen(data: Dataset, params: FineTuningParams, generator: Generator) -> Tensor:
    """Positions of the pictures that keep their label, on the CPU, in ascending order."""
    labels = labels_of(data)
    known = int((labels >= 0).sum())
    if params.labels > known:
        raise ValueError(
            f"labels: {params.data} has {known} labelled pictures, got {params.labels}; ask for fewer, or 0 for all"
        )
    return balanced(labels, params.labels or known, generator)


@torch.no_grad()
def without_tuning(model: FineTuning, labelled: Dataset, test: Dataset, bench: Bench) -> dict[str, float]:
    """What the same labels give without tuning: "probe", a linear reader of the backbone's features as they are now,
    and "pixels", the nearest labelled pictures by their pixels. Shares right of `test`."""
    classes, net = len(model.facts.classes), model.eval().backbone
    asked, truth = embed_all(net, bench.chunks(test))
    probe = linear_probe(*embed_all(net, bench.chunks(labelled)), classes)
    return {
        "probe": accuracy(probe(asked).argmax(dim=1), truth).item(),
        "pixels": knn_accuracy(PIXELS, bench.chunks(labelled), bench.chunks(test), classes).item(),
    }


def train(model: FineTuning, p: FineTuningParams, bench: Bench) -> Iterator[Report]:
    data, test = (bench.data(p.data, split, p.size) for split in ("train", "test"))
    labelled = part(data, bench.once(partial(chosen, data, p, bench.generator)))
    if p.start != RANDOM:
        bench.once(partial(begin_as, model, p.start))
    test, sample = spread(test, ASKED), spread(labelled, ASKED)
    plain = bench.once(partial(without_tuning, model, spread(labelled, 5 * ASKED), test, bench))
    layers = [list(model.head.parameters())]
    if not p.frozen:
        layers.insert(0, [*model.backbone.parameters(), *model.kept.parameters()])
    model.backbone.requires_grad_(not p.frozen)
    model.kept.requires_grad_(not p.frozen)
    groups = layerwise_groups(layers, p.lr, 1.0 if p.start == RANDOM else p.slower, p.weight_decay)
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: cosine(step, p.steps, warmup=p.steps // 10, start=0.1)
    )
    pool = part(labelled, torch.arange(len(labelled)).repeat(-(-p.batch // len(labelled))))  # a batch at least
    for batch in bench.batches(pool, p.batch, p.steps, keep=(optimizer, schedule)):
        model.learning()
        seen = model.view(batch.images, bench.generator)
        loss = F.cross_entropy(model(seen), labels_in(batch), label_smoothing=p.smoothing)
        bench.step(optimizer, loss, schedule=schedule)
        report: Report = {"loss": loss.detach()}
        if bench.due:
            report |= {
                "accuracy": accuracy_of(model, bench.chunks(test)), **plain,
                "on the labelled": accuracy_of(model, bench.chunks(sample)),
                "original": batch.images[:SHOWN], "seen": seen[:SHOWN],
            }  # fmt: skip
        if bench.done == p.steps:
            ways = {"tuned": "accuracy", "linear probe of the start": "probe", "neighbours by pixels": "pixels",
                    "tuned, on the labelled pictures": "on the labelled"}  # fmt: skip
            report |= {"right": torch.tensor([float(report[name]) for name in ways.values()]), "way": list(ways)}
        yield report


METHOD = Method(
    params=FineTuningParams,
    build=FineTuning,
    train=train,
    embed=FineTuning.features,
    exhibits=(
        Curves(("accuracy", "on the labelled", "probe", "pixels"), "Share right of test pictures, and of those whose "
               "labels are learned from: what lies between is overfitting. Flat: a linear reader of the features as "
               "they were at the start, and the nearest labelled pictures by pixels."),
        Curves(("loss",), "Cross-entropy with smoothed labels, from log(classes) on."),
        Pictures(("original", "seen"), "Labelled pictures, and what the network saw of them at this step."),
        Bars(("right", "way"), "At the end: how often is the class known?"),
    ),
    lenses=(LABELS, NEIGHBOURS, MAP, LINEAR_PROBE),
    claim=Claim(
        "With few labels, a network that has first learned without any and is then tuned as a whole is better than one "
        "that begins at random, and than a linear reader of the frozen one. Measured as the share of test pictures "
        "known after tuning on 200 labels (baseline: the linear reader).",
        figure="accuracy",
        course=("accuracy", "on the labelled"),
        arms={"from SimCLR": {}, "from scratch": {"start": RANDOM},
              "from scratch, longer": {"start": RANDOM, "steps": 1500},
              "frozen": {"frozen": True, "kept": 0, "lr": 0.03}, "all labels": {"start": RANDOM, "labels": 0}},
        baseline="probe",
        also={"objects, from scratch": IN_COLOUR["objects"] | {"start": RANDOM},  # no start that ships knows colours
              "objects, all labels": IN_COLOUR["objects"] | {"start": RANDOM, "labels": 0}},
    ),
    sweeps=(
        Sweep("Labels and start", {"labels": (20, 50, 200, 1000, 0), "start": (RANDOM, "representation.simclr")},
              "How many labels does it take until it no longer pays to have learned without any?"),
        Sweep("Which start", {"start": (RANDOM, "representation.simclr", "representation.moco", "representation.swav",
                                        "representation.relic")},
              "Whose features are the best to go on from?"),
        Sweep("Labels and layers", {"labels": (50, 200), "kept": (0, 1), "slower": (0.1, 0.3, 1.0)},
              "Does it pay to go on from within the head, and how fast may what was pre-trained change?"),
    ),
)  # fmt: skip
