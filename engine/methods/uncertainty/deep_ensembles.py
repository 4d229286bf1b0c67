r"""Deep ensembles.

Lakshminarayanan, Pritzel, Blundell. NeurIPS 2017. arXiv:1612.01474

Idea. Train a few networks that differ in nothing but their first weights and the order of their pictures, and average
what they say. Each falls into another valley of the loss: where the pictures fix the answer they agree, elsewhere each
guesses on its own, and the mean is as unsure as it should be.

Equation. $$p(y\mid x)=\frac1M\sum_{m=1}^M p_{\theta_m}(y\mid x),\qquad
\mathcal L(\theta_m)=\ell\big(\theta_m,x,y\big)+\ell\big(\theta_m,\;x+\epsilon\,\mathrm{sign}\,\nabla_x\ell,\;y\big)$$

Where. $p_{\theta_m}$: the softmax of network m
$M$: how many networks
$\ell$: a proper scoring rule, least on average when the true probabilities are told: cross-entropy, or Brier's
$\epsilon$: length of the fast gradient sign step that makes the adversarial picture, 0 for none

Differs. All networks are trained in one call: their weights are stacked and the step is mapped over them (torch.func).
On two CPU cores that is no faster than one after the other; it spares a GPU the starts of many small kernels. Each
draws its own shuffled pictures. AdamW with a cosine in place of plain steps; the demo trains on pictures as they are
(`epsilon` 0), for adversarial ones cost three passes in place of one. `passes` with `dropout` makes a single network
Monte-Carlo dropout, to compare.

Expect. The demo trains five networks on 1000 garments in 300 steps and takes 49 CPU-seconds. Means of three seeds,
standard deviations in brackets: the cross-entropy on test pictures is 0.421 (0.006) for the five together, 0.459
(0.002) for the best of them, 0.497 (0.004) for one trained alone and 0.469 (0.007) for one asked five times with
dropout on; with 20 passes it comes nearer, see Monte-Carlo dropout. By number of networks it falls from 0.481 over
0.444, 0.431 and 0.425 to 0.421: the second brings most. Accuracy rises from 0.853 to 0.862, the calibration error falls
from 0.060 to 0.039. A character raises more total doubt than a garment in 0.902 (0.009) of cases, with one network in
0.813 (0.010); by the epistemic part alone in 0.951 (0.010).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from engine.bench import Bench
from engine.data.base import Batch, Facts
from engine.data.draws import Draws
from engine.data.strangers import strangers
from engine.data.subset import labels_in, spread
from engine.losses.gaussian import gaussian_nll, mixture
from engine.method import (
    Bars,
    Claim,
    Curves,
    Histogram,
    Lens,
    Matrix,
    Method,
    Overlay,
    Params,
    Pictures,
    Report,
    Table,
    knob,
)
from engine.metrics.calibration import expected_calibration_error as ece
from engine.metrics.calibration import negative_log_likelihood as nll
from engine.metrics.calibration import reliability
from engine.metrics.doubts import doubt_maps, doubts, hesitation
from engine.metrics.ensemble import growing, merits, two
from engine.metrics.uncertainty import auroc, risk_coverage
from engine.nets.lenet import DropoutLeNet
from engine.nets.stacked import Stacked
from engine.ops.dropout import only_dropout
from engine.ops.schedule import cosine

PORTION = 500
"""Pictures that are asked at once."""


class DeepEnsemblesParams(Params):
    data: str = knob("garments", "labelled pictures: a set by name, or folder:PATH with a folder a class")
    members: int = knob(5, "networks, M", 1, 50, tiny=2)
    labelled: int = knob(1000, "pictures to learn from, the same for all", 2, 10**7, tiny=64, paper=60_000)
    score: Literal["cross-entropy", "brier"] = knob("cross-entropy", "the proper scoring rule that is trained on")
    epsilon: float = knob(0.0, "step to adversarial pictures, which are learned too; 0: none", 0.0, 1.0, paper=0.01)
    steps: int = knob(300, "optimiser steps, each of all networks", 1, 10**7, tiny=3, paper=24_000, unit="steps")
    batch: int = knob(64, "pictures a step for each network", 2, 65_536, tiny=4, paper=100)
    strange: str = knob("glyphs", "pictures of another kind, which nobody trained on", fold=True)
    lr: float = knob(2e-3, "learning rate at its peak", 1e-6, 10.0, paper=0.1, log=True, fold=True)
    weight_decay: float = knob(1e-4, "pull of all weights towards 0", 0.0, 1.0, paper=0.0, fold=True)
    width: int = knob(16, "channels of the first convolution", 2, 256, tiny=2, fold=True)
    hidden: int = knob(96, "units of the hidden layer", 2, 8192, tiny=8, paper=200, fold=True)
    dropout: float = knob(0.0, "share of hidden units dropped in training", 0.0, 0.95, fold=True)
    passes: int = knob(1, "answers of each network, with dropout on where 2 or more", 1, 1000, fold=True)
    asked: int = knob(1000, "test pictures of the last evaluation; before it a fifth", 10, 10**6, tiny=20, fold=True)


class DeepEnsemble(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> the logarithm (B, classes) of what all networks together say."""

    def __init__(self, params: DeepEnsemblesParams, facts: Facts):
        super().__init__()
        if len(facts.classes) < 2:
            raise ValueError(f"data: {params.data} has fewer than two classes; choose a labelled source")
        self.params, self.facts = params, facts
        shape = facts.channels, len(facts.classes), params.width, params.hidden, params.dropout
        self.nets = Stacked([DropoutLeNet(*shape) for _ in range(params.members)])

    def forward(self, images: Tensor) -> Tensor:
        return self.ask(images).mean(dim=1).log()

    def features(self, images: Tensor) -> Tensor:
        """(B, M * classes): what each network makes of a picture, its logits about their mean."""
        logits = self.nets(images)
        return (logits - logits.mean(dim=2, keepdim=True)).transpose(0, 1).flatten(1)

    @torch.no_grad()
    def ask(self, images: Tensor, seed: int = 0) -> Tensor:
        """p_m(y | x): (B, M, classes). With `passes` of 2 or more (B, M * passes, classes), dropout on, by `seed`."""
        modes = {module: module.training for module in self.nets.modules()}
        self.nets.eval()
        try:
            if self.params.passes < 2:
                told = [self.nets(part).float() for part in images.split(PORTION)]
            else:
                with only_dropout(self.nets), torch.random.fork_rng([images.device] if images.is_cuda else []):
                    torch.manual_seed(seed)
                    passes = range(self.params.passes)
                    told = [torch.cat([self.nets(part).float() for _ in passes]) for part in images.split(PORTION)]
        finally:
            for module, training in modes.items():
                module.training = training
        return torch.cat(told, dim=1).softmax(dim=2).transpose(0, 1)


def scores(logits: Tensor, labels: Tensor, rule: Literal["cross-entropy", "brier"]) -> Tensor:
    """The proper scoring rule of each answer: logits (..., classes), labels (...) -> (...), lower is better."""
    if rule == "cross-entropy":
        return F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none").view(labels.shape)
    return (logits.softmax(dim=-1) - F.one_hot(labels, logits.shape[-1])).square().sum(dim=-1)


def losses(nets: Stacked, images: Tensor, labels: Tensor, p: DeepEnsemblesParams) -> Tensor:
    """The loss (M,) of each network on pictures of its own: images (M, B, C, H, W), labels (M, B)."""
    images = images.detach().requires_grad_(p.epsilon > 0)
    loss = scores(nets(images, own=True), labels, p.score).mean(dim=1)
    if not p.epsilon:
        return loss
    # Each network's loss depends on its own pictures alone, so the gradient of the sum holds everyone's.
    (slope,) = torch.autograd.grad(loss.sum(), images, retain_graph=True)
    attacked = (images + p.epsilon * slope.sign()).detach()
    return loss + scores(nets(attacked, own=True), labels, p.score).mean(dim=1)


def known_and_strange(model: DeepEnsemble, count: int, bench: Bench) -> tuple[Batch, Tensor]:
    """Test pictures of the data that was learned, and as many pictures of another kind, fitted to its facts."""
    known = spread(bench.data(model.params.data, "test"), count)
    strange = strangers(bench.data(model.params.strange, "test"), model.facts, count)
    return known.batch(torch.arange(len(known))).to(bench.device), strange.to(bench.device)


def evaluate(model: DeepEnsemble, bench: Bench) -> Report:
    """All networks together against each alone, on known pictures; and their doubts about strange ones."""
    p = model.params
    known, strange = known_and_strange(model, p.asked if bench.done == p.steps else p.asked // 5, bench)
    told, other, truth = model.ask(known.images), model.ask(strange), labels_in(known)
    together, sizes = merits(told, truth, other), growing(told, truth, other)
    part, apart = doubts(two(told)), doubts(two(other))
    report: Report = together | {f"{name} alone": sizes[name][0] for name in together}
    report |= {
        "NLL best alone": torch.stack([nll(each, truth) for each in told.unbind(dim=1)]).min(),
        "epistemic known": part["epistemic"].mean(), "epistemic strange": apart["epistemic"].mean(),
        "AUROC epistemic": auroc(apart["epistemic"], part["epistemic"]),
    }  # fmt: skip
    table = {"measure": list(report), "value": torch.stack([value.float() for value in report.values()])}
    shown = torch.cat([known.images[:5], strange[:: len(strange) // 3 + 1]])
    grown = {"NLL of so many": sizes["NLL"], "networks": [str(1 + size) for size in range(len(sizes["NLL"]))]}
    return report | table | grown | doubt_maps(two(model.ask(shown)), shown)


def train(model: DeepEnsemble, p: DeepEnsemblesParams, bench: Bench) -> Iterator[Report]:
    data = spread(bench.data(p.data), p.labelled)
    optimizer = torch.optim.AdamW(model.parameters(), p.lr, weight_decay=p.weight_decay)
    schedule = LambdaLR(optimizer, lambda step: cosine(step, p.steps, warmup=p.steps // 20, start=0.1))
    orders = [Draws(len(data), p.batch, p.steps, bench.setup.seed, member) for member in range(p.members)]
    for step in bench.steps(p.steps, keep=(optimizer, schedule)):
        model.train()
        batch = data.batch(torch.cat([order[step] for order in orders])).to(bench.device)
        images, labels = (each.unflatten(0, (p.members, p.batch)) for each in (batch.images, labels_in(batch)))
        each = losses(model.nets, images, labels, p)
        bench.step(optimizer, each.sum(), schedule=schedule)
        yield {"loss": each.detach().mean()} | (evaluate(model, bench) if bench.due else {})


class MembersParams(Params):
    members: int = knob(50, "networks that are asked; beyond the last: all", 1, 50)
    picture: int = knob(1, "picture whose probabilities are written out", 1, 64)


def look_members(model: DeepEnsemble, p: MembersParams, images: Tensor, bench: Bench) -> Report:
    """What each network says of each picture, what they say together, and its doubt in two parts."""
    if p.picture > len(images):
        raise ValueError(f"picture: there are {len(images)} pictures, got {p.picture}")
    told, classes = model.ask(images)[:, : p.members], list(model.facts.classes)
    mean, part = told.mean(dim=1), doubts(two(told))
    votes = F.one_hot(told.argmax(dim=2), len(classes)).sum(dim=1).tolist()
    said = [", ".join(f"{n} {name}" for n, name in sorted(zip(row, classes, strict=True), reverse=True) if n)
            for row in votes]  # fmt: skip
    answer, numbers = [classes[c] for c in mean.argmax(dim=1).tolist()], range(1, len(images) + 1)
    return doubt_maps(two(told), images) | {
        "each network": torch.cat([told[p.picture - 1], mean[p.picture - 1 : p.picture]]),
        "rows": [f"network {m + 1}" for m in range(told.shape[1])] + ["together"], "columns": classes,
        "picture": torch.tensor(numbers), "together": answer, "sure": mean.amax(dim=1), "votes": said,
        "named": [f"{i}: {name} {sure:.0%}"
                  for i, name, sure in zip(numbers, answer, mean.amax(dim=1).tolist(), strict=True)],
        "the picture is unclear": part["aleatoric"], "the networks disagree": part["epistemic"],
    }  # fmt: skip


class CountParams(Params):
    count: int = knob(400, "pictures of each kind", 10, 2000, tiny=20)


def look_growing(model: DeepEnsemble, p: CountParams, images: None, bench: Bench) -> Report:
    """What each network more brings."""
    known, strange = known_and_strange(model, p.count, bench)
    sizes = growing(model.ask(known.images), labels_in(known), model.ask(strange))
    sizes["error"] = 1 - sizes.pop("accuracy")
    return {name: torch.stack([torch.arange(1.0, len(each) + 1), each.cpu()], dim=1) for name, each in sizes.items()}


class ReliabilityParams(CountParams):
    bins: int = knob(10, "bins of confidence", 2, 20)


def look_reliability(model: DeepEnsemble, p: ReliabilityParams, images: None, bench: Bench) -> Report:
    """Is it right as often as it is sure? The answers of single networks, one after the other, and their mean."""
    known = known_and_strange(model, p.count, bench)[0]
    told, truth = model.ask(known.images), labels_in(known)
    ways = {"each alone": (told.transpose(0, 1).flatten(0, 1), truth.repeat(told.shape[1])),
            "together": (told.mean(dim=1), truth)}  # fmt: skip
    edges = [i / p.bins for i in range(p.bins + 1)]
    tables = {name: reliability(*way, p.bins) for name, way in ways.items()}
    report: Report = {name: table.accuracy for name, table in tables.items()}
    report |= {f"share of answers {name}": table.count / table.count.sum() for name, table in tables.items()}
    return report | {
        "as sure": torch.tensor(edges[1:]) - 0.5 / p.bins,
        "confidence": [f"{low:.0%} to {high:.0%}" for low, high in itertools.pairwise(edges)],
        "ECE": torch.stack([ece(*way) for way in ways.values()]),
        "NLL": torch.stack([nll(*way) for way in ways.values()]), "answer": list(ways),
    }  # fmt: skip


def look_refusing(model: DeepEnsemble, p: CountParams, images: None, bench: Bench) -> Report:
    """The error on what is still answered when the pictures that raise the most doubt are handed to somebody else."""
    known, strange = known_and_strange(model, p.count, bench)
    told, truth = model.ask(known.images), labels_in(known)
    mean, first = told.mean(dim=1), told[:, 0]
    wrong = mean.argmax(dim=1) != truth
    ways = {
        "doubt of all": (hesitation(mean), wrong), "disagreement": (doubts(two(told))["epistemic"], wrong),
        "one network": (hesitation(first), first.argmax(dim=1) != truth), "perfect": (wrong.float(), wrong),
    }  # fmt: skip
    curves = {name: torch.stack(risk_coverage(*way), dim=1) for name, way in ways.items()}
    # Among strange pictures no answer is right: the more of them are answered, the worse.
    other = model.ask(strange)
    ways = {
        "with strangers: doubt of all": (hesitation(torch.cat([mean, other.mean(dim=1)])), wrong),
        "with strangers: one network": (hesitation(torch.cat([first, other[:, 0]])), ways["one network"][1]),
    }
    curves |= {name: torch.stack(risk_coverage(doubt, F.pad(error, (0, len(other)), value=True)), dim=1)
               for name, (doubt, error) in ways.items()}  # fmt: skip
    shown = hesitation(mean).argsort(descending=True)[:16]
    names = [model.facts.classes[label] for label in truth[shown].tolist()]
    said = [model.facts.classes[label] for label in mean[shown].argmax(dim=1).tolist()]
    return curves | {"refused first": known.images[shown], "truly": names, "called": said,
                     "area under the curve": torch.stack([curve[:, 1].mean() for curve in curves.values()]),
                     "order": list(curves)}  # fmt: skip


def look_familiar(model: DeepEnsemble, p: CountParams, images: None, bench: Bench) -> Report:
    """How well one network, all of them, and their disagreement tell strange pictures from known ones."""
    known, strange = known_and_strange(model, p.count, bench)
    ours, theirs = model.ask(known.images), model.ask(strange)
    part, apart = doubts(two(ours)), doubts(two(theirs))
    alone = [auroc(hesitation(theirs[:, m]), hesitation(ours[:, m])) for m in range(ours.shape[1])]
    pairs = {f"all: {name}": auroc(apart[name], part[name]) for name in part}
    return {
        "known": part["total"], "strange": apart["total"],
        "known to one": hesitation(ours[:, 0]), "strange to one": hesitation(theirs[:, 0]),
        "AUROC": torch.stack([torch.stack(alone).mean(), *pairs.values()]),
        "doubt": ["one network: entropy", *pairs], "strangers": strange[:: len(strange) // 8 + 1],
    }  # fmt: skip


class NumberParams(Params):
    members: int = knob(5, "networks", 1, 20, tiny=2)
    points: int = knob(20, "points to learn from", 4, 500)
    steps: int = knob(1000, "optimiser steps", 1, 5000, tiny=3)
    seed: int = knob(0, "other points and other networks", 0, 999)


REACH, INNER, NOISE = 6.0, 4.0, 3.0
"""The curve is asked up to here, and learned up to here, on both sides of 0; the deviation of its points."""


def band(name: str) -> tuple[str, ...]:
    return "truth", f"{name}: mean", f"{name}: mean less 3 deviations", f"{name}: mean and 3 deviations"


def look_number(model: DeepEnsemble, p: NumberParams, images: None, bench: Bench) -> Report:
    """The paper's toy: networks that tell a number and its variance learn y = x^3 with noise."""
    with torch.random.fork_rng([]), torch.enable_grad():
        torch.manual_seed(p.seed)
        x = (torch.rand(p.points, 1) * 2 - 1) * INNER
        y = x**3 + NOISE * torch.randn_like(x)
        nets = Stacked([nn.Sequential(nn.Linear(1, 100), nn.ReLU(), nn.Linear(100, 2)) for _ in range(p.members)])
        optimizer = torch.optim.Adam(nets.parameters(), 0.01)
        schedule = LambdaLR(optimizer, lambda step: cosine(step, p.steps))

        def told(x: Tensor) -> tuple[Tensor, Tensor]:
            mean, spread = nets(x).unbind(dim=-1)  # both (M, N), in units of the noise
            return mean * NOISE, (F.softplus(spread) + 1e-6) * NOISE**2

        for _ in range(p.steps):
            optimizer.zero_grad()
            gaussian_nll(*told(x), y[:, 0]).mean(dim=1).sum().backward()
            optimizer.step()
            schedule.step()
    across = torch.linspace(-REACH, REACH, 121)
    with torch.no_grad():
        means, variances = told(across[:, None])
    whole = mixture(means, variances)
    lines = {"truth": across**3}
    for name, (mean, variance) in (("all", whole), ("one", (means[0], variances[0]))):
        low, high = mean - 3 * variance.sqrt(), mean + 3 * variance.sqrt()
        lines |= dict(zip((*band(name)[1:], f"{name}: deviation"), (mean, low, high, variance.sqrt()), strict=True))
    lines |= {"deviation among the means": means.std(dim=0, correction=0), "the noise": torch.full_like(across, NOISE)}
    return {name: torch.stack([across, line], dim=1) for name, line in lines.items()}


METHOD = Method(
    params=DeepEnsemblesParams,
    build=DeepEnsemble,
    train=train,
    embed=DeepEnsemble.features,
    exhibits=(
        Curves(("loss",), "Training score, the mean over the networks."),
        Curves(("NLL", "NLL alone"), "Cross-entropy on test pictures of all together, and of one alone, on average."),
        Curves(("AUROC", "AUROC alone", "AUROC epistemic"),
               "How often a strange picture raises more doubt than a known one; 0.5 is chance."),
        Bars(("NLL of so many", "networks"), "What each network more brings, averaged over which ones."),
        Overlay(("pictures", "total", "aleatoric", "epistemic"),
                "Five test pictures, then strange ones; a picture's doubt tints it evenly."),
        Table(("measure", "value"), "All that was measured last, entropies in nats."),
    ),
    lenses=(
        Lens(
            "Members", MembersParams, look_members,
            (
                Overlay(("pictures", "total", "aleatoric", "epistemic"),
                        "Total doubt is the sum of both parts; it tints a picture evenly."),
                Table(("picture", "together", "sure", "votes"), "What they say together, and how they vote."),
                Matrix(("each network",), "The chosen picture: each network's probabilities, and their mean below."),
                Bars(("the picture is unclear", "the networks disagree", "named"),
                     "The doubt behind each answer, in nats: what all of them share, and what sets them apart."),
            ),
            "Ask several networks about your pictures: where do they disagree?",
        ),
        Lens(
            "One more", CountParams, look_growing,
            (
                Curves(("NLL",), "Cross-entropy on test pictures.", over="networks"),
                Curves(("error",), "Share wrong; a step of 0.0025 is one picture of 400.", over="networks"),
                Curves(("ECE",), "Gap between confidence and truth; averaging makes modest, at last too modest.",
                       over="networks"),
                Curves(("AUROC",), "How often a strange picture raises the larger doubt.", over="networks"),
            ),
            "What does each network more bring? The first few bring the most.", takes="nothing",
        ),
        Lens(
            "Reliability", ReliabilityParams, look_reliability,
            (
                Bars(("each alone", "together", "as sure", "confidence"),
                     "Share of right answers among those of a confidence; an honest network's bars end at `as sure`."),
                Bars(("share of answers each alone", "share of answers together", "confidence"),
                     "How many answers have that confidence."),
                Bars(("ECE", "NLL", "answer"), "Gap between confidence and truth, and cross-entropy: lower is better."),
            ),
            "Is it right as often as it is sure?", takes="nothing",
        ),
        Lens(
            "Refusing", CountParams, look_refusing,
            (
                Curves(("doubt of all", "disagreement", "one network", "perfect"),
                       "Share wrong among those it still answers. To the left it answers only what it is sure of.",
                       over="share answered"),
                Curves(("with strangers: doubt of all", "with strangers: one network"),
                       "The same when half of the pictures are strange, so that no answer to them is right.",
                       over="share answered"),
                Bars(("area under the curve", "order"), "The mean height of each curve: lower is better."),
                Pictures(("refused first",), "The pictures that it would hand over first."),
                Table(("called", "truly"), "What it would have called them, and what they are."),
            ),
            "Let it hand over the pictures that it doubts, and see what that saves.", takes="nothing",
        ),
        Lens(
            "Familiar or not", CountParams, look_familiar,
            (
                Histogram(("known", "strange"), "Total doubt of all about pictures of the known and of another kind."),
                Histogram(("known to one", "strange to one"), "The same for one network alone: it is often sure."),
                Bars(("AUROC", "doubt"), "How often the strange picture raises the larger doubt; 0.5 is chance."),
                Pictures(("strangers",), "Strange pictures, as the networks are shown them."),
            ),
            "Does it notice that a picture is none of its kind?", takes="nothing",
        ),
        Lens(
            "A number", NumberParams, look_number,
            (
                Curves(band("all"), "All together: outside -4 to 4, where nothing was learned, the networks part, and "
                       "the band opens.", over="x"),
                Curves(band("one"), "One network alone: outside it may be as sure as ever, and wrong.", over="x"),
                Curves(("deviation among the means", "all: deviation", "one: deviation", "the noise"),
                       "How far the networks' means lie apart, how unsure all are together, and one alone. So few "
                       "points do not fix the noise: networks take part of it for the curve.", over="x"),
            ),
            "The paper's toy, trained while you wait: numbers in place of classes, and doubt where no point was.",
            takes="nothing",
        ),
    ),
    claim=Claim(
        "A few networks, averaged, know better how sure to be than one, and than one that answers as often with "
        "dropout on. Measured as cross-entropy (NLL) on test pictures after 300 steps on 1 000 garments (baseline: the "
        "best of the five networks alone); against one network, and one trained with dropout and asked five times.",
        figure="NLL",
        arms={"5 networks": {}, "one network": {"members": 1},
              "dropout, 5 passes": {"members": 1, "dropout": 0.5, "passes": 5}},
        baseline="NLL best alone",
        higher=False,
    ),
)  # fmt: skip
