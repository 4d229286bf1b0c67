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

Expect. The demo learns from 1000 garments in 300 steps and takes 12 CPU-seconds. Means of three
seeds, standard deviations in brackets: a character raises more total doubt than a garment in 0.919 (0.007) of cases;
with dropout off in 0.825 (0.020), trained without dropout in 0.825 (0.012). The epistemic part alone tells them apart
best, 0.974 (0.002): it is 0.12 nats on garments, 0.56 on characters. Accuracy is alike with dropout on and off (0.853,
0.854) and without (0.854). The cross-entropy of dropout on and off is alike too (0.436, 0.433) and lower than without
(0.487), but averaging makes the answers too modest here: the calibration error is 0.042 with dropout on, 0.029 with
dropout off, 0.066 without dropout. To segment scenes:scene64s (one seed, batches of 16, about 0.35 CPU-seconds a step):
after 100 steps the epistemic part is 0.118 nats at borders and 0.054 inside objects; with dropout at the centre, after
200 steps, it is 0.003 and 0.002 at a mean IoU of 0.33. So short a training does not tell strange pictures by it.
"""

from __future__ import annotations

import itertools
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
from engine.method import (
    Bars,
    Claim,
    Curves,
    Histogram,
    Lens,
    Masks,
    Method,
    Overlay,
    Params,
    Pictures,
    Report,
    Scatter,
    Table,
    knob,
)  # fmt: skip
from engine.metrics.answers import answers
from engine.metrics.calibration import expected_calibration_error as ece
from engine.metrics.calibration import fit_temperature, reliability
from engine.metrics.calibration import negative_log_likelihood as nll
from engine.metrics.classification import accuracy, confusion_matrix
from engine.metrics.doubts import answer_rows, borders, by_picture, doubt_maps, doubts, hesitation
from engine.metrics.segmentation import mean_iou
from engine.metrics.uncertainty import auroc
from engine.nets.lenet import DropoutLeNet
from engine.nets.unet import DropoutPlaces, SmallUNet
from engine.ops.dropout import samples
from engine.ops.schedule import cosine
from engine.ops.warp import rotation, warp

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


class AskParams(Params):
    passes: int = knob(20, "passes with dropout on", 2, 200, tiny=3)
    dropout: float = knob(0.5, "share of units dropped, if it learned with dropout; 0: all passes agree", 0.0, 0.95)
    seed: int = knob(0, "which masks", 0, 999)


def look_uncertainty(model: McDropout, p: AskParams, images: Tensor, bench: Bench) -> Report:
    """The answer to each picture, and its doubt in two parts."""
    told = model.ask(images, p.passes, p.seed, p.dropout)
    mean, part = told.mean(dim=1), doubts(told)
    share = mean.flatten(2).mean(dim=2) if model.segments else mean
    said = zip(share.argmax(dim=1).tolist(), share.amax(dim=1).tolist(), strict=True)
    # As labels of masks, where 0 is background: the class of a whole picture counts from 1 and tints all of it.
    answer = mean.argmax(dim=1) if model.segments else 1 + mean.argmax(dim=1)[:, None, None]
    return doubt_maps(told, images) | {
        "answer": answer.expand(len(images), *images.shape[-2:]),
        "classes": list(model.classes[1:] if model.segments else model.classes),
        "picture": [f"{i}: {model.classes[c]} {sure:.0%}" for i, (c, sure) in enumerate(said, 1)],
        "the picture is unclear": by_picture(part["aleatoric"]),
        "the passes disagree": by_picture(part["epistemic"]),
    }  # fmt: skip


class TurningParams(AskParams):
    picture: int = knob(1, "which picture is turned", 1, 64)
    until: float = knob(180.0, "the last angle", 15.0, 360.0, unit="degrees")


def look_turning(model: McDropout, p: TurningParams, images: Tensor, bench: Bench) -> Report:
    """One picture at thirteen angles: every pass's probabilities of the three likeliest classes, and the doubt."""
    if p.picture > len(images):
        raise ValueError(f"picture: there are {len(images)} pictures, got {p.picture}")
    angles = torch.linspace(0, p.until, 13, device=images.device)
    turned = warp(images[p.picture - 1].expand(len(angles), -1, -1, -1), rotation(angles))
    told = model.ask(turned, p.passes, p.seed, p.dropout)
    shares = told.flatten(3).mean(dim=3) if model.segments else told
    likely = shares.mean(dim=(0, 1)).topk(min(3, len(model.classes))).indices
    heights = shares[:, :, likely]
    across = (angles[:, None, None] / p.until).expand_as(heights)
    curves = {f"{name} at angle": torch.stack([angles, by_picture(part)], dim=1) for name, part in doubts(told).items()}
    return curves | {
        "turned": turned, "passes": torch.stack([across, heights], dim=-1).flatten(0, 2),
        "class": likely.expand_as(heights).flatten(), "classes": list(model.classes),
    }  # fmt: skip


class FamiliarParams(AskParams):
    count: int = knob(400, "pictures of each kind; a sixteenth to segment", 10, 2000, tiny=20)


def look_familiar(model: McDropout, p: FamiliarParams, images: None, bench: Bench) -> Report:
    """How well each kind of doubt tells strange pictures from known ones."""
    known, strange = known_and_strange(model, p.count, bench)
    ours, theirs = (doubts(model.ask(each, p.passes, p.seed, p.dropout)) for each in (known.images, strange))
    once = tuple(hesitation(model.usual(each).softmax(dim=1)) for each in (strange, known.images))
    pairs = {"dropout off: entropy": once}
    pairs |= {f"dropout on: {name}": (by_picture(theirs[name]), by_picture(ours[name])) for name in ours}
    return {
        "known": by_picture(ours["total"]), "strange": by_picture(theirs["total"]),
        "epistemic known": by_picture(ours["epistemic"]), "epistemic strange": by_picture(theirs["epistemic"]),
        "AUROC": torch.stack([auroc(*pair) for pair in pairs.values()]), "doubt": list(pairs), 
        "strangers": strange[:: len(strange) // 8 + 1],
    }  # fmt: skip


class ReliabilityParams(FamiliarParams):
    bins: int = knob(10, "bins of confidence", 2, 20)


def look_reliability(model: McDropout, p: ReliabilityParams, images: None, bench: Bench) -> Report:
    """Is it right as often as it is sure? With dropout off, on, and off with a temperature fitted on other pictures."""
    known = known_and_strange(model, p.count, bench)[0]
    on, truth = answer_rows(model.ask(known.images, p.passes, p.seed, p.dropout).mean(dim=1), model.truth(known))
    logits, _ = answer_rows(model.usual(known.images), model.truth(known))
    half = len(truth) // 2  # Rows are in the order of pictures: one half of them for the temperature, one to measure.
    temperature, label, off = fit_temperature(logits[:half], truth[:half]), truth[half:], logits[half:]
    told = {"dropout off": off.softmax(1), "dropout on": on[half:], "temperature": (off / temperature).softmax(1)}
    edges = [i / p.bins for i in range(p.bins + 1)]
    report: Report = {name: reliability(each, label, p.bins).accuracy for name, each in told.items()}
    return report | {
        "as sure": torch.tensor(edges[1:]) - 0.5 / p.bins,
        "confidence": [f"{low:.0%} to {high:.0%}" for low, high in itertools.pairwise(edges)],
        "ECE": torch.stack([ece(each, label) for each in told.values()]),
        "NLL": torch.stack([nll(each, label) for each in told.values()]),
        "answer": ["dropout off", "dropout on", f"temperature {temperature:.2f}"],
    }  # fmt: skip


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
    lenses=(
        Lens(
            "Uncertainty", AskParams, look_uncertainty,
            (
                Overlay(("pictures", "total", "aleatoric", "epistemic"),
                        "Total doubt is the sum of both; a whole picture's tints it evenly."),
                Bars(("the picture is unclear", "the passes disagree", "picture"),
                     "The doubt behind each answer, in nats: what more data would not remove, and what it would."),
                Masks(("pictures", "answer"), "The mean answer of all passes."),
            ),
            "Ask a hundred networks that are one: drop more units, and see where they disagree.",
        ),
        Lens(
            "Turning", TurningParams, look_turning,
            (
                Pictures(("turned",), "The picture on its way round."),
                Scatter(("passes", "class"), "Left to right: the angle. Upwards: each pass's probability."),
                Curves(("total at angle", "aleatoric at angle", "epistemic at angle"), "Doubt rises at odd angles.",
                       over="degrees"),
            ),
            "Turn a picture until the network has never seen the like.",
        ),
        Lens(
            "Familiar or not", FamiliarParams, look_familiar,
            (
                Histogram(("known", "strange"), "Total doubt about pictures of the known and of another kind."),
                Histogram(("epistemic known", "epistemic strange"), "The same for disagreement alone."),
                Bars(("AUROC", "doubt"), "How often the strange picture raises the larger doubt; 0.5 is chance."),
                Pictures(("strangers",), "Strange pictures, as the network is shown them."),
            ),
            "Does it notice that a picture is none of its kind?", takes="nothing",
        ),
        Lens(
            "Reliability", ReliabilityParams, look_reliability,
            (
                Bars(("dropout off", "dropout on", "temperature", "as sure", "confidence"),
                     "Share of right answers among those of a confidence; an honest network's bars end at `as sure`."),
                Bars(("ECE", "NLL", "answer"), "Gap between confidence and truth, and cross-entropy: lower is better."),
            ),
            "Is it right as often as it is sure?", takes="nothing",
        ),
    ),
    claim=Claim(
        "Passes with dropout on know better what they do not know. Measured as the chance that a printed character "
        "raises more total doubt than a garment, for a network that learned garments only: against one answer of the "
        "same network with dropout off (the baseline), and against a network trained without dropout.",
        figure="AUROC",
        arms={"dropout": {}, "no dropout": {"dropout": 0.0}},
        baseline="AUROC dropout off",
    ),
)  # fmt: skip
