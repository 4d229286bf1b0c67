r"""Monte-Carlo dropout.

Gal, Ghahramani. ICML 2016. arXiv:1506.02142

Idea. Leave dropout on when the network answers, and ask it many times: each pass is another network, drawn from what
training leaves possible. Their mean is the answer. Where all of them hesitate, the picture itself is unclear; where
each is sure of something else, the network has not learned what it is asked. Pixel by pixel this gives maps of doubt
(Bayesian SegNet, Kendall et al., arXiv:1511.02680).

Equation. $$\bar p=\frac1T\sum_{t=1}^T\mathrm{softmax}\,f_{\hat\omega_t}(x),\qquad
\underbrace{\mathbb H[\bar p]}_{\text{total}}=\underbrace{\frac1T\sum_t\mathbb H[p_t]}_{\text{aleatoric}}
+\underbrace{\mathbb I[y,\omega]}_{\text{epistemic}}$$

Where. $f_{\hat\omega_t}$: the network under the t-th dropout mask
$T$: passes
$\mathbb H$: entropy, from 0 (sure) to log(classes)
$\mathbb I$: mutual information, what passes disagree about: the epistemic part, which more training data would remove

Differs. Batch norm in the convolutions, which stays in eval mode; dropout about the one hidden layer, so that the
convolutions run once for all passes: 20 of them cost 2.3 times one. Scenes are segmented by a U-Net with group norm in
place of SegNet, with dropout on its way up: at its centre, as in SegNet, the skips carry past it nearly all that
matters, and passes hardly differ. Its passes share nothing.

Expect. The demo learns from 1000 garments in 300 steps and takes 12 CPU-seconds. Means of three seeds, standard
deviations in brackets: a character raises more total doubt than a garment in 0.919 (0.007) of cases; with dropout off
in 0.825 (0.020), trained without dropout in 0.825 (0.012). The epistemic part alone tells them apart best, 0.974
(0.002): it is 0.12 nats on garments, 0.56 on characters. Accuracy is alike with dropout on and off (0.853, 0.854) and
without (0.854). The cross-entropy of dropout on and off is alike too (0.436, 0.433) and lower than without (0.487), but
averaging makes the answers too modest here: the calibration error is 0.042 with dropout on, 0.029 with dropout off,
0.066 without dropout. To segment scenes:scene64s (one seed, batches of 16, about 0.35 CPU-seconds a step): after 100
steps the epistemic part is 0.118 nats at borders and 0.054 inside objects; with dropout at the centre, after 200 steps,
it is 0.003 and 0.002 at a mean IoU of 0.33. So short a training does not tell strange pictures by it. A network that
segments scenes ships too (`visionarium assets build uncertainty.mc_dropout.scenes`): 2500 steps of 16 of 16 000 small
scenes, object or background, in 206 CPU-seconds. On test scenes its mean IoU is 0.71 and (48 of them, 16 passes) its
total doubt 0.45 nats at borders, 0.15 further than two pixels from any: 2.9 times as much; the aleatoric part is 3.1
times, the epistemic part 1.9 times as large there. Their objects and photographs are others than those it learned from:
on 48 scenes of the split val, whose objects it knows, the mean IoU is 0.90, the total doubt 4.8, the epistemic part 2.3
times as large at borders. With dropout at the centre alone (2000 steps, 0.4 dropped) the epistemic part stays at
0.0001.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from engine.bench import Bench
from engine.data.base import VOID, Batch, Facts
from engine.data.decode import fit
from engine.data.subset import labels_in, spread
from engine.lenses.several import pixels, several
from engine.method import Claim, Curves, Method, Overlay, Params, Report, Table, knob
from engine.metrics.answers import answers
from engine.metrics.calibration import expected_calibration_error as ece
from engine.metrics.calibration import negative_log_likelihood as nll
from engine.metrics.classification import accuracy, confusion_matrix
from engine.metrics.doubts import answer_rows, borders, by_picture, doubt_maps, doubts, hesitation
from engine.metrics.segmentation import mean_iou
from engine.metrics.uncertainty import auroc
from engine.nets.lenet import DropoutLeNet
from engine.nets.unet import DropoutPlaces, SmallUNet
from engine.ops.dropout import samples
from engine.ops.schedule import cosine

OUTLINED = ("scenes", "masks", "nuclei", "coco", "voc")
"""Sources that know a class for every pixel, or boxes, but none for the whole picture."""
FEWER = 16
"""Pictures for which one is asked when each of its pixels is an answer."""
PORTION = 2**20
"""Pixels that the network is asked at once."""


class McDropoutParams(Params):
    data: str = knob("garments", "labelled pictures, or scenes:scene64s and the like for the task segment")
    task: Literal["classify", "segment"] = knob("classify", "a class for each picture, or for each pixel")
    dropout: float = knob(0.5, "share of units dropped; 0: all passes agree", 0.0, 0.95)
    passes: int = knob(20, "passes with dropout on, T", 2, 1000, tiny=3, paper=1000, unit="passes")
    labelled: int = knob(1000, "pictures to learn from; more of them leave less doubt", 2, 10**7, tiny=64, paper=60_000)
    steps: int = knob(300, "optimiser steps", 1, 10**7, tiny=3, paper=100_000, unit="steps")
    batch: int = knob(64, "pictures a step", 2, 65_536, tiny=4)
    lr: float = knob(2e-3, "learning rate at its peak", 1e-6, 10.0, log=True)
    strange: str = knob("glyphs", "pictures of another kind, which nobody trained on", fold=True)
    weight_decay: float = knob(1e-4, "pull of all weights towards 0", 0.0, 1.0, paper=5e-4, fold=True)
    width: int = knob(16, "channels of the first convolution", 2, 256, tiny=2, paper=20, fold=True)
    hidden: int = knob(128, "units between the dropouts, to classify", 2, 8192, tiny=8, paper=500, fold=True)
    places: DropoutPlaces = knob("decoder", "where the U-Net drops units, to segment", paper="centre", fold=True)
    asked: int = knob(1000, "test pictures of the last evaluation; before it a fifth", 10, 10**6, tiny=20, fold=True)

    @model_validator(mode="after")
    def _data_suit_the_task(self) -> McDropoutParams:
        outlined = self.data.partition(":")[0] in OUTLINED
        if self.task == "segment" and not outlined:
            raise ValueError(f"data: {self.data!r} has no class for every pixel; to segment, name scenes:scene64s, "
                             "masks:PATH or nuclei")  # fmt: skip
        if self.task == "classify" and outlined:
            raise ValueError(f"data: {self.data!r} has no class for a picture; to classify, name garments, cutouts or "
                             "folder:PATH, or set the task to segment")  # fmt: skip
        return self


class McDropout(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> logits (B, classes) or (B, classes, H, W), as the task wants."""

    def __init__(self, params: McDropoutParams, facts: Facts):
        super().__init__()
        self.params, self.facts, self.segments = params, facts, params.task == "segment"
        # Pixels may also be background, the label 0, and ground, the last, where scenes have it.
        self.classes = ("background", *facts.classes, "ground") if self.segments else facts.classes
        if len(self.classes) < 2:
            raise ValueError(f"data: {params.data} has fewer than two classes; choose a labelled source")
        self.net: nn.Module
        shape = facts.channels, len(self.classes), params.width
        if self.segments:
            self.net = SmallUNet(*shape, dropout=params.dropout, places=params.places)
        else:
            self.net = DropoutLeNet(*shape, params.hidden, params.dropout)

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images)

    def features(self, images: Tensor) -> Tensor:
        """(B, hidden): the hidden layer; to segment, (B, classes): each picture's mean logits."""
        if self.segments:
            return self.net(images).flatten(2).mean(2)
        return nn.Sequential(*list(self.net.children())[:-2])(images)

    def truth(self, batch: Batch) -> Tensor:
        """(B,) or (B, H, W) int64."""
        if not self.segments:
            return labels_in(batch)
        if batch.semantic is None:
            raise ValueError("data: this source has no class for every pixel; choose scenes:scene64s or masks:PATH")
        return batch.semantic

    def ask(self, images: Tensor, passes: int, seed: int, dropout: float | None = None) -> Tensor:
        """p_t: probabilities (B, T, classes, ...) of T passes with dropout on; the same for the same seed."""
        generator = torch.Generator().manual_seed(seed)
        told = [samples(self.net, part, passes, generator, dropout) for part in parts(images)]
        return torch.cat(told).softmax(dim=2)

    def usual(self, images: Tensor) -> Tensor:
        """Logits (B, classes, ...) of the one answer with dropout off."""
        return answers(self.net, [Batch(part, torch.arange(len(part))) for part in parts(images)])


def parts(images: Tensor) -> tuple[Tensor, ...]:
    """The images in portions that fit into memory."""
    return images.split(max(1, PORTION // images[0, 0].numel()))


def known_and_strange(model: McDropout, count: int, bench: Bench) -> tuple[Batch, Tensor]:
    """Test pictures of the data the model learned from, and as many pictures of another kind, fitted to its facts."""
    p, count = model.params, max(2, count // FEWER) if model.segments else count
    known, other = (spread(bench.data(spec, "test"), count) for spec in (p.data, p.strange))
    strange = fit(other.batch(torch.arange(len(other))).images, model.facts).to(bench.device).float() / 255
    return known.batch(torch.arange(len(known))).to(bench.device), strange


def evaluate(model: McDropout, bench: Bench) -> Report:
    """MC dropout against the same network with dropout off, on known pictures; and its doubts about strange ones."""
    p, seed = model.params, bench.setup.seed
    known, strange = known_and_strange(model, p.asked if bench.done == p.steps else p.asked // 5, bench)
    told, truth = model.ask(known.images, p.passes, seed), model.truth(known)
    part, other = doubts(told), doubts(model.ask(strange, p.passes, seed))
    on, label = answer_rows(told.mean(dim=1), truth)
    once, once_strange = (model.usual(images).softmax(dim=1) for images in (known.images, strange))
    off, _ = answer_rows(once, truth)
    report: Report = {
        "accuracy": accuracy(on.argmax(1), label), "accuracy dropout off": accuracy(off.argmax(1), label),
        "NLL": nll(on, label), "NLL dropout off": nll(off, label),
        "ECE": ece(on, label), "ECE dropout off": ece(off, label),
        "epistemic known": part["epistemic"].mean(), "epistemic strange": other["epistemic"].mean(),
        "AUROC": auroc(by_picture(other["total"]), by_picture(part["total"])),
        "AUROC epistemic": auroc(by_picture(other["epistemic"]), by_picture(part["epistemic"])),
        "AUROC dropout off": auroc(hesitation(once_strange), hesitation(once)),
    }  # fmt: skip
    if model.segments:
        edge, thing = borders(truth), (truth > 0) & (truth <= len(model.facts.classes))
        report |= {
            "mean IoU": mean_iou(confusion_matrix(on.argmax(1), label, len(model.classes))),
            "mean IoU dropout off": mean_iou(confusion_matrix(off.argmax(1), label, len(model.classes))),
            "epistemic borders": part["epistemic"][edge].mean(),
            "epistemic interiors": part["epistemic"][thing & ~edge].mean(),
        }  # fmt: skip
    table = {"measure": list(report), "value": torch.stack([value.float() for value in report.values()])}
    shown = torch.cat([known.images[:5], strange[:: len(strange) // 3 + 1]])
    return report | table | doubt_maps(model.ask(shown, p.passes, seed), shown)


def train(model: McDropout, p: McDropoutParams, bench: Bench) -> Iterator[Report]:
    optimizer = torch.optim.AdamW(model.parameters(), p.lr, weight_decay=p.weight_decay)
    schedule = LambdaLR(optimizer, lambda step: cosine(step, p.steps, warmup=p.steps // 20, start=0.1))
    data = spread(bench.data(p.data), p.labelled)
    for batch in bench.batches(data, p.batch, p.steps, keep=(optimizer, schedule)):
        model.train()
        logits, truth = model(batch.images), model.truth(batch)
        loss = F.cross_entropy(logits, truth, ignore_index=VOID)
        bench.step(optimizer, loss, schedule=schedule)
        yield {"loss": loss.detach()} | (evaluate(model, bench) if bench.due else {})


METHOD = Method(
    params=McDropoutParams,
    build=McDropout,
    train=train,
    embed=McDropout.features,
    exhibits=(
        Curves(("loss",), "Cross-entropy with dropout on, so it stays above that of an answer without."),
        Curves(("AUROC", "AUROC epistemic", "AUROC dropout off"),
               "How often a strange picture raises more doubt than a known one; 0.5 is chance."),
        Curves(("epistemic known", "epistemic strange"), "Passes disagree about what the network never learned."),
        Overlay(("pictures", "total", "aleatoric", "epistemic"),
                "Five test pictures, then strange ones; a whole picture's doubt tints it evenly."),
        Table(("measure", "value"), "All that was measured last, entropies in nats."),
    ),
    lenses=(pixels("passes"), *several("passes")),
    claim=Claim(
        "Passes with dropout on know better what they do not know. Measured as the chance that a printed character "
        "raises more total doubt than a garment, for a network that learned garments only: against one answer of the "
        "same network with dropout off (the baseline), and against a network trained without dropout.",
        figure="AUROC",
        arms={"dropout": {}, "no dropout": {"dropout": 0.0}},
        baseline="AUROC dropout off",
    ),
)  # fmt: skip
