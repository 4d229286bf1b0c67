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
from engine.lenses.number import A_NUMBER
from engine.lenses.several import several
from engine.method import Bars, Claim, Curves, Lens, Method, Overlay, Params, Report, Table, knob
from engine.metrics.calibration import negative_log_likelihood as nll
from engine.metrics.doubts import doubt_maps, doubts
from engine.metrics.ensemble import growing, merits, two
from engine.metrics.uncertainty import auroc
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


class CountParams(Params):
    count: int = knob(400, "pictures of each kind", 10, 2000, tiny=20)


def look_growing(model: DeepEnsemble, p: CountParams, images: None, bench: Bench) -> Report:
    """What each network more brings."""
    known, strange = known_and_strange(model, p.count, bench)
    sizes = growing(model.ask(known.images), labels_in(known), model.ask(strange))
    sizes["error"] = 1 - sizes.pop("accuracy")
    return {name: torch.stack([torch.arange(1.0, len(each) + 1), each.cpu()], dim=1) for name, each in sizes.items()}


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
        *several("networks"),
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
        A_NUMBER,
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
