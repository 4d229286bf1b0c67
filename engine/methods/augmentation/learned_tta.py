r"""Learned loss for test-time augmentation.

Kim, Kim, Kim. NeurIPS 2020. arXiv:2010.11422

Idea. Which view of a picture helps depends on the picture: a turned one wants to be turned back, a dark one brightened.
A small network looks at the picture once and foretells how well the classifier, which stays as it is, would do on each
of twelve views. Only the best of them are shown to the classifier.

Equation. $$\begin{gathered}\ell_j=\mathrm{CE}\big(f(T_jx),y\big),\qquad
r_j(s)=\tfrac12+\sum_k\sigma\Big(\frac{s_k-s_j}{t}\Big)\\
\mathcal L=\frac1K\sum_{j=1}^K\Big(\frac{r_j(g(x))}{K}-\frac{\mathrm{rank}_j(-\ell)}{K}\Big)^2\end{gathered}$$

Where. $f$: the classifier, trained before and frozen
$T_j$: view j of $K=12$: as it is, two turns, two zooms, autocontrast, four sharpnesses, two of colour
$g$: the loss predictor; higher means that a lower loss is expected
$r_j$: differentiable place of view j in its order, 1 for the best
$\sigma$: logistic function, with the temperature $t$

Differs. The released code learns the order through a sorting network that was trained beforehand; the sum of logistic
functions above needs none. At first the softmin of the losses is learned too, ever less. Pictures without colour have
a gamma of 1/2 and 2 in place of less and more colour. The predictor is as small as the classifier, not EfficientNet-B0,
and sees pictures at 28 pixels. Its lessons have one of eight faults, or none, at the strength of the test; three more
faults are kept for the test alone. The classifier trains on 60 % of the data and the predictor on the rest: on pictures
that the classifier remembers all losses are near 0.

Expect. The demo takes 52 CPU-seconds. Means of three seeds, standard deviations in brackets: with eight faults and
without, one learned view makes 0.802 (0.009) of the test pictures right, the mean of all twelve views 0.652 (0.034),
one random view 0.602 (0.018). In the first seed pictures as they are reach 0.639, three learned views 0.773, the
best of the twelve for each picture 0.903. Faint pictures gain most (0.157 to 0.820), turned ones next (0.43 to 0.75);
noisy, dark and sound ones gain nothing. On faults that are new to the predictor 0.657 rises to 0.753: it turns and
brightens what is turned and dark, and does nothing for speckles.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from engine.augment.candidates import CANDIDATES, MIRRORED, views
from engine.augment.corruptions import corrupted
from engine.augment.faulty import FAULTS, faulty
from engine.bench import Bench
from engine.data.base import Batch, Dataset, Facts, Memory
from engine.data.subset import labels_in, part, spread
from engine.lenses.learned import LENSES
from engine.losses.ranking import ranking_loss
from engine.losses.soft import soft_cross_entropy
from engine.method import Bars, Claim, Curves, Matrix, Method, Params, Report, knob, stage
from engine.metrics.chosen_views import best, view_losses, ways
from engine.metrics.classification import accuracy
from engine.nets.lenet import DropoutLeNet
from engine.ops.choose import choose, host_generator
from engine.ops.ranks import spearman
from engine.ops.schedule import cosine

VIEWS = tuple(CANDIDATES)
SEEN = 9
"""Of the faults, so many are among the predictor's lessons; the rest it meets in the test alone."""
PORTION = 100
"""Pictures whose views are asked at once."""


class LearnedTTAParams(Params):
    data: str = knob("garments", "labelled pictures: a set by name, or folder:PATH with a folder a class")
    k: int = knob(1, "views that are chosen and averaged", 1, len(VIEWS))
    choose: Literal["learned", "random"] = knob("learned", "who chooses the views; random: the dice")
    lessons: int = knob(5000, "faulty pictures that the predictor learns from", 8, 10**7, tiny=60)
    steps: int = knob(600, "optimiser steps of the predictor", 1, 10**7, tiny=3, paper=500_000, unit="steps")
    target_steps: int = knob(400, "those of the classifier", 1, 10**7, tiny=3, unit="steps")
    temperature: float = knob(0.3, "t of the differentiable places", 1e-3, 10.0, log=True, fold=True)
    slack: float = knob(0.05, "squared errors of places below this are none", 0.0, 1.0, fold=True)
    warm: float = knob(0.3, "share of the steps that also learn the losses' softmin, ever less", 0.0, 1.0, fold=True)
    share: float = knob(0.6, "share of the data that trains the classifier; the predictor has the rest", 0.1, 0.9,
                        fold=True)  # fmt: skip
    batch: int = knob(64, "pictures a step", 2, 65_536, tiny=4, paper=384, fold=True)
    lr: float = knob(2e-3, "learning rate at its peak", 1e-6, 10.0, paper=0.01, log=True, fold=True)
    weight_decay: float = knob(1e-4, "pull of all weights towards 0", 0.0, 1.0, paper=1e-5, fold=True)
    width: int = knob(12, "channels of the first convolutions", 2, 256, tiny=2, fold=True)
    hidden: int = knob(128, "units of the hidden layers", 2, 8192, tiny=8, fold=True)
    dropout: float = knob(0.3, "share of hidden units dropped in training", 0.0, 0.95, fold=True)
    glance: int = knob(
        28, "height and width at which the predictor sees pictures", 8, 512, paper=64, unit="px", fold=True
    )
    size: int = knob(28, "height and width", 8, 1024, paper=224, unit="px", fold=True)
    asked: int = knob(300, "test pictures with each fault, at the end", 4, 10**6, tiny=8, fold=True)


class LearnedTTA(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> the logarithm (B, classes) of the mean answer to the chosen views."""

    def __init__(self, params: LearnedTTAParams, facts: Facts):
        super().__init__()
        if len(facts.classes) < 2:
            raise ValueError(f"data: {params.data} has fewer than two classes; choose a labelled source")
        self.params, self.facts = params, facts
        shape = params.width, params.hidden, params.dropout
        self.target = DropoutLeNet(facts.channels, len(facts.classes), *shape)
        self.predictor = DropoutLeNet(facts.channels, len(VIEWS), *shape)

    def scores(self, images: Tensor) -> Tensor:
        """g(x), (B, K): higher where a lower loss is expected."""
        side = min(self.params.glance, images.shape[-1])
        return self.predictor(F.adaptive_avg_pool2d(images, side))

    @torch.no_grad()
    def hopes(self, images: Tensor) -> Tensor:
        """softmax of g(x), (B, K), the mean for the picture and its mirror image, where turns change their sense."""
        there, mirrored = (self.scores(each).softmax(dim=1) for each in (images, images.flip(-1)))
        return (there + mirrored[:, list(MIRRORED)]) / 2

    @torch.no_grad()
    def told(self, images: Tensor) -> Tensor:
        """(B, K, classes): what the classifier says of every view."""
        parts = (views(portion) for portion in images.split(PORTION))
        said = [self.target(part.flatten(0, 1)).float().unflatten(0, part.shape[:2]) for part in parts]
        return torch.cat(said).softmax(dim=2)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        chosen = best(self.hopes(images), self.params.k).cpu()
        ways = dict(enumerate(CANDIDATES.values()))
        said = [self.target(choose(images, column, ways)).softmax(dim=1) for column in chosen.unbind(dim=1)]
        return torch.stack(said).mean(dim=0).log()

    def features(self, images: Tensor) -> Tensor:
        """(B, hidden): the classifier's hidden layer."""
        return nn.Sequential(*list(self.target.children())[:-2])(images)


def fit_target(model: LearnedTTA, data: Dataset, p: LearnedTTAParams, bench: Bench) -> Iterator[Report]:
    """The classifier, on pictures as they are."""
    net, test = model.target, spread(bench.data(p.data, "test", p.size), p.asked)
    optimizer = torch.optim.AdamW(net.parameters(), p.lr, weight_decay=p.weight_decay)
    schedule = LambdaLR(optimizer, lambda step: cosine(step, p.target_steps, p.target_steps // 20, start=0.1))
    for batch in bench.batches(data, p.batch, p.target_steps, keep=(optimizer, schedule)):
        net.train()
        loss = F.cross_entropy(net(batch.images), labels_in(batch))
        bench.step(optimizer, loss, schedule=schedule)
        report: Report = {"loss": loss.detach()}
        if bench.due:
            net.eval()
            batch = test.batch(torch.arange(len(test))).to(bench.device)
            report["accuracy"] = accuracy(net(batch.images).argmax(dim=1), labels_in(batch))
        yield report


def lessons(model: LearnedTTA, data: Dataset, p: LearnedTTAParams, bench: Bench) -> dict[str, Tensor]:
    """Faulty pictures (N, C, H, W) uint8, their labels (N,), and the classifier's loss (N, K) on each of their views.

    Pictures that the classifier did not learn from: on those it did, all of its losses are near 0 and teach nothing.
    """
    model.eval()
    rows = torch.arange(p.lessons) % len(data)
    kind = torch.randint(SEEN, (p.lessons,), generator=host_generator(bench.generator))
    images, labels, losses = [], [], []
    for places, faults in zip(rows.split(500), kind.split(500), strict=True):
        batch = data.batch(places).to(bench.device)
        # Rounded first, so that the losses are those of the pictures that are kept.
        images.append((corrupted(batch.images, faults, bench.generator) * 255).round().to(torch.uint8))
        labels.append(labels_in(batch))
        losses.append(view_losses(model.told(images[-1].float() / 255), labels[-1]))
    found = {"images": torch.cat(images), "labels": torch.cat(labels), "losses": torch.cat(losses)}
    if not found["losses"].isfinite().all():
        raise ValueError("losses: some are not numbers; the classifier has diverged, lower its learning rate")
    return found


def fit_predictor(
    model: LearnedTTA, taught: dict[str, Tensor], p: LearnedTTAParams, bench: Bench
) -> Iterator[Report]:  # fmt: skip
    """The predictor, on the losses of the frozen classifier; a fifth of the lessons only judges."""
    net, losses = model.predictor, taught["losses"].to(bench.device)
    optimizer = torch.optim.AdamW(net.parameters(), p.lr, weight_decay=p.weight_decay)
    schedule = LambdaLR(optimizer, lambda step: cosine(step, p.steps, p.steps // 20, start=0.1))
    data = Memory(Batch(taught["images"], torch.arange(len(losses)), taught["labels"]), model.facts).place(bench.device)
    cut = len(losses) - max(2, len(losses) // 5)
    judged, truth = data.batch(torch.arange(cut, len(losses))).to(bench.device), losses[cut:]
    batches = bench.batches(data.subset(torch.arange(cut)), p.batch, p.steps, keep=(optimizer, schedule))
    for batch in batches:
        net.train()
        scores, wanted = model.scores(batch.images), losses[batch.index]
        loss = ranking = ranking_loss(scores, wanted, p.temperature, p.slack).mean()
        left = 1 - (bench.done - p.target_steps - 1) / max(1.0, p.warm * p.steps)
        if left > 0:
            loss = ranking + left * soft_cross_entropy(scores, (-wanted).softmax(dim=1)).mean()
        bench.step(optimizer, loss, schedule=schedule)
        report: Report = {"loss": ranking.detach()}
        if bench.due:
            model.eval()
            hopes = model.hopes(judged.images)
            report |= {
                "order": spearman(hopes, -truth).mean(),
                "loss of the chosen": truth.gather(1, best(hopes, 1)).mean(),
                "loss as it is": truth[:, 0].mean(), "least loss": truth.amin(dim=1).mean(),
            }  # fmt: skip
        yield report


def train(model: LearnedTTA, p: LearnedTTAParams, bench: Bench) -> Iterator[Report]:
    """The classifier, its losses on faulty pictures, the predictor; then all ways to choose on test pictures."""
    data = bench.data(p.data, "train", p.size)
    order = bench.once(lambda: torch.randperm(len(data), generator=host_generator(bench.generator)))
    cut = round(p.share * len(data))
    yield from stage("classifier", fit_target(model, part(data, order[:cut]), p, bench))
    taught = bench.once(lambda: lessons(model, part(data, order[cut:]), p, bench))
    for report in stage("predictor", fit_predictor(model, taught, p, bench)):
        ended = bench.done == p.target_steps + p.steps
        yield report | (compare(model, bench) if ended else {})


def compare(model: LearnedTTA, bench: Bench) -> Report:
    """Each way to choose views, with each fault: those of the lessons, then those that are new."""
    p = model.params
    test = bench.data(p.data, "test", model.facts.size)
    model.eval()
    right, orders = [], []
    for fault in FAULTS:
        batch = faulty(test, fault, p.asked, bench.device)
        told, hopes, labels = model.told(batch.images), model.hopes(batch.images), labels_in(batch)
        answers = ways(told, hopes, labels, p.k)
        right.append(torch.stack([accuracy(answer.argmax(dim=1), labels) for answer in answers.values()]))
        orders.append(spearman(hopes, -view_losses(told, labels)).mean())
    table, names = torch.stack(right), list(answers)
    mine = names.index(f"random {p.k}" if p.choose == "random" else f"learned {p.k}")
    seen, new = table[:SEEN].mean(dim=0), table[SEEN:].mean(dim=0)
    return {
        "accuracy": seen[mine], "accuracy as it is": seen[0], "accuracy all views": seen[1],
        "accuracy oracle": seen[-1], "new faults: accuracy": new[mine], "new faults: as it is": new[0],
        "new faults: all views": new[1], "no fault: accuracy": table[0, mine], "no fault: as it is": table[0, 0],
        "share right": table, "places right": torch.stack(orders),
        "fault": list(FAULTS), "known faults": seen, "new faults": new, "way": names,
        "rows": list(FAULTS), "columns": names,
    }  # fmt: skip


METHOD = Method(
    params=LearnedTTAParams,
    build=LearnedTTA,
    train=train,
    embed=LearnedTTA.features,
    steps=lambda params: params.target_steps + params.steps,
    exhibits=(
        Curves(("predictor/loss of the chosen", "predictor/loss as it is", "predictor/least loss"),
               "Cross-entropy of the classifier on faulty pictures it did not learn from: of the view that is chosen, "
               "of the picture as it is, and of the best of twelve views."),
        Curves(("predictor/order",), "Rank correlation of foretold and true losses of a picture's views; 0 is chance."),
        Matrix(("share right",), "At the end, on test pictures with each fault; the last three are new to it."),
        Bars(("known faults", "new faults", "way"), "The means of the table above."),
        Curves(("classifier/loss", "predictor/loss"), "Cross-entropy of the classifier; squared error of places."),
        Curves(("classifier/accuracy",), "Share right on test pictures without fault."),
        Bars(("places right", "fault"), "Rank correlation of the foretold order with the true one, by fault."),
    ),
    lenses=LENSES,
    claim=Claim(
        "A view chosen by its foretold loss is better than the picture as it is, than all views, and than as many at "
        "random. Here: accuracy on test pictures, the mean over eight faults and none, with one chosen view of twelve "
        "(baseline: the mean of all twelve views); against one view drawn at random.",
        figure="accuracy",
        arms={"learned choice": {}, "random choice": {"choose": "random"}},
        baseline="accuracy all views",
    ),
)  # fmt: skip
