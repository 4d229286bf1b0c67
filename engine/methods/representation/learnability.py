r"""Learnability of groups.

Laina, Fong, Vedaldi. NeurIPS 2020. arXiv:2010.14551

Idea. Features that were learned without labels sort pictures into groups. Is a group a concept, something that one can
pick up? Show a few of its members, then two more pictures of which one belongs, and ask which: that is learnability.
Give a sentence in place of the members, and it is describability. Chance is one half, whatever the groups are like.

Equation. $$a_c=\frac1T\sum_{t=1}^T\mathbf 1\big[h(R_t,x^0_t,x^1_t)=y_t\big],\qquad
h_{\text{examples}}=\arg\min_{i\in\{0,1\}}\big\lVert\phi(x^i)-\tfrac1n\textstyle\sum_{r\in R}\phi(r)\big\rVert$$

Where. $a_c$: the learnability of group c: the share of right answers in T trials
$R_t$: n members of the group, drawn anew for each trial; for describability, a sentence instead
$x^0_t, x^1_t$: another member and a stranger, in random order; $y_t$: which is the member
$h$: the judge; it never learns the number of the group
$\phi$: what the judge sees of a picture; never the features by which the groups were made

Differs. The paper asks people, on ImageNet and groups of MoCo and SeLa. Here two judges answer at once: one takes what
is nearer to the mean of the examples, by where edges run in which direction; the other is given a sentence of up to
three plain attributes (how tall, how symmetric, how many pieces), which is found by information gain on one half of the
pictures, while all trials are of the other half. The game on the page of maps is for people. The network comes trained,
from a demo that ships or a checkpoint; what is trained here is k-means on its features, several tries side by side.

Expect. The demo takes 7 CPU-seconds of a core. Over three seeds, which are other groups and trials of the same network,
both judges are right where chance is one half: by examples in 0.927, 0.932 and 0.921 of the trials, by words in 0.934,
0.921 and 0.916. Groups by lot come to 0.515, 0.481 and 0.505. On garments, what is learnable need not be learned:
groups by pixels are told from examples a little better (0.944 on average), those of a network before training a little
worse (0.883), and the true classes no better (0.921), though words tell these less well (0.873). One example in place
of ten costs four points (0.883). With strangers of the nearest other group all come down to three quarters: 0.729,
0.718 and 0.753 by examples, 0.775, 0.748 and 0.775 by words; the paper's gap between showing and telling is not seen
here, where whoever is told measures exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import model_validator
from torch import Tensor, nn

from engine.bench import Bench
from engine.data.base import Facts
from engine.data.subset import spread
from engine.lenses.concepts import CONCEPTS, DESCRIPTIONS, MEASURED, TRIAL
from engine.lenses.extractors import EXTRACTORS
from engine.maps.measures import purity
from engine.method import Claim, Curves, Method, Params, Report, Scatter, Sweep, Table, knob
from engine.metrics.concepts import Bank, Examined, Seen, examine, look_at, rows
from engine.metrics.describer import MOST
from engine.metrics.neighbours import PIXELS
from engine.nets.classifier import backbone
from engine.ops.attributes import NAMES
from engine.ops.kmeans import assign, spread_centres, update
from engine.trained import features_of


class LearnabilityParams(Params):
    data: str = knob("garments", "pictures to group: a set by name, folder:PATH or unlabelled:PATH")
    features: str = knob(
        "representation.moco", "by what pictures are alike: a method whose demo ships, a checkpoint file, untrained or "
        "pixels", tiny="untrained",
    )  # fmt: skip
    by: Literal["k-means", "random", "classes"] = knob(
        "k-means", "how groups are made; random: by lot, which nobody can learn; classes: the true ones"
    )
    clusters: int = knob(20, "groups, unless they are the classes", 2, 10_000, tiny=2, paper=3000, log=True)
    examples: int = knob(10, "members that are shown before the pair", 1, 100, tiny=2)
    hard: bool = knob(False, "take the stranger from the nearest other group")
    trials: int = knob(2000, "trials, in turns over the groups", 2, 10**6, tiny=8, log=True)
    steps: int = knob(30, "rounds of k-means", 1, 10**4, tiny=3, unit="steps")
    literals: int = knob(3, "attributes that a description may name", 1, MOST, fold=True)
    judge: Seen = knob("edges", "what the first judge sees of a picture", fold=True)
    tries: int = knob(10, "k-means begun so many times; the tightest counts", 1, 100, tiny=2, fold=True)
    pictures: int = knob(10_000, "pictures that are grouped, at even distances over the set", 8, 10**7, tiny=60,
                         log=True, fold=True)  # fmt: skip
    size: int = knob(28, "height and width", 8, 1024, unit="px", fold=True)

    @model_validator(mode="after")
    def _judge_sees_other_things(self) -> LearnabilityParams:
        if self.by == "k-means" and self.features == self.judge == "pixels":
            raise ValueError(
                "judge: it would see what the groups were made of, pixels, and only repeat them; use edges"
            )
        return self


class Groups(nn.Module):
    """Groups of pictures. centres: (tries, K, D), in unit features; best: which try counts. literals (K, 3, 3), cuts
    (A, 4) and reach (A,): what is said of each group, see `engine.metrics.describer`. seed: of groups by lot."""

    centres: Tensor
    best: Tensor
    literals: Tensor
    cuts: Tensor
    reach: Tensor
    seed: Tensor

    def __init__(self, params: LearnabilityParams, facts: Facts):
        super().__init__()
        self.params, self.facts = params, facts
        if params.by == "classes" and not facts.classes:
            raise ValueError(f"by: {params.data} has no classes; group by k-means")
        self.count = len(facts.classes) if params.by == "classes" else params.clusters
        embed: Callable[[Tensor], Tensor]
        self.network: nn.Module
        if params.features == "pixels":
            self.network = embed = PIXELS
        elif params.features == "untrained":
            self.network = embed = backbone("small", facts.channels, width=16)
        else:
            self.network, embed = features_of(params.features, facts)
        self._embed = lambda images: embed(images)  # a module under two names would be stored twice
        self.network.requires_grad_(False).eval()
        width = self.features(torch.zeros(2, facts.channels, facts.size, facts.size)).shape[1]
        self.register_buffer("centres", torch.zeros(params.tries, self.count, width))
        self.register_buffer("best", torch.tensor(0))
        self.register_buffer("literals", torch.full((self.count, MOST, 3), -1))
        self.register_buffer("cuts", torch.zeros(len(NAMES), 4))
        self.register_buffer("reach", torch.ones(len(NAMES)))
        self.register_buffer("seed", torch.tensor(0))

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """(B, D), of length 1."""
        return F.normalize(self._embed(images).float().flatten(1), dim=1)

    def nearest(self, features: Tensor) -> Tensor:
        """The group (N,) with the nearest centre, of features (N, D)."""
        return assign(features, self.centres[self.best].float())[0]

    def grouped(self, features: Tensor, labels: Tensor) -> Tensor:
        """The group (N,) of each picture of the set that was grouped."""
        if self.params.by == "classes":
            return labels
        if self.params.by == "random":
            return by_lot(len(features), self.count, int(self.seed)).to(features.device)
        return self.nearest(features)

    forward = features

    def keep(self, found: Examined) -> None:
        """What is said of the groups."""
        for name, value in (
            ("literals", found.descriptions),
            ("cuts", found.scale.cuts),
            ("reach", found.scale.spread),
        ):
            getattr(self, name).copy_(torch.from_numpy(value))


def by_lot(pictures: int, groups: int, seed: int) -> Tensor:
    """(pictures,) int64: the group that each is given, whatever it shows."""
    return torch.randint(groups, (pictures,), generator=torch.Generator().manual_seed(seed))


def train(model: Groups, params: LearnabilityParams, bench: Bench) -> Iterator[Report]:
    data = spread(bench.data(params.data, "train", params.size), params.pictures)
    bank = Bank(**look_at(bench.chunks(data), model.eval().features, params.judge))
    features = bank.features.to(bench.device)
    whole = (features - features.mean(dim=0)).square().sum(dim=1).mean().clamp(min=1e-12)
    model.seed.fill_(bench.setup.seed)
    dice = torch.Generator().manual_seed(bench.setup.seed)
    if params.by == "k-means":
        model.centres.copy_(bench.once(lambda: torch.stack(
            [spread_centres(features, model.count, dice) for _ in range(params.tries)])))  # fmt: skip
    for _ in bench.steps(params.steps):
        left = torch.stack([one_round(model, place, features, bank.labels) for place in range(params.tries)]) / whole
        model.best.copy_(left.argmin())
        report: Report = {"tightest": left.min(), "loosest": left.max()}
        if bench.due:
            groups = model.grouped(features, bank.labels.to(bench.device)).cpu()
            found = ask(model, bank, groups, bench)
            model.keep(found)
            report |= {"by_examples": found.learnability.share, "by_words": found.describability.share, "chance": 0.5}
            if (bank.labels >= 0).any():
                report["purity"] = purity(groups, bank.labels)
            if bench.done == params.steps:
                lot = ask(model, bank, by_lot(len(groups), model.count, bench.setup.seed + 1), bench)
                report |= {"mean_learnability": found.learnability.share, "by_lot": lot.learnability.share}
                report |= rows(found, bank, groups, data)
        yield report


def one_round(model: Groups, place: int, features: Tensor, labels: Tensor) -> Tensor:
    """Move the centres of one try to the means of their groups; the mean squared distance to the centres before."""
    if model.params.by == "k-means":
        groups, squared = assign(features, model.centres[place])
        model.centres[place] = update(features, groups, squared, model.count)
        return squared.mean()
    groups = model.grouped(features, labels.to(features.device))
    known = groups >= 0
    members, groups = features[known], groups[known]
    model.centres[place] = update(members, groups, members.new_zeros(len(members)), model.count)
    return (members - model.centres[place][groups]).square().sum(dim=1).mean()


def ask(model: Groups, bank: Bank, groups: Tensor, bench: Bench) -> Examined:
    """Both judges about groups (N,) of the bank's pictures."""
    p = model.params
    return examine(bank, groups, model.count, p.trials, p.examples, bench.setup.seed, most=p.literals, hard=p.hard)


METHOD = Method(
    params=LearnabilityParams,
    build=Groups,
    train=train,
    exhibits=(
        Curves(("by_examples", "by_words", "chance", "purity"), "The share of right answers while the groups form: of "
               "the judge who sees a few members, and of the one who is only told what they look like. Purity is how "
               "much of a group is of its commonest class, which nobody was told."),
        Curves(("tightest", "loosest"), "How far pictures are from the centre of their group, as a share of how far "
               "they are from each other: of the best and the worst of all tries."),
        Scatter(("purity_and_learnability", "commonest", "typical"), "A group is drawn as its most typical picture, "
                "framed in the colour of its commonest class. High up on the left: easy to learn, and "
                "yet no class: a concept that has no name here.",
                ("purity", "learnability")),
        Scatter(("describability_and_learnability", "commonest", "typical"), "Low on the right would be a group that "
                "words tell better than examples do; high on the left, one that is easier shown than said.",
                ("describability", "learnability")),
        Table(("group", "members", "learnability", "describability", "mostly", "description"), "What can be said of "
              "each group, in words that a program measured; and how often each judge was right about it."),
    ),
    lenses=(CONCEPTS, DESCRIPTIONS, TRIAL, MEASURED, EXTRACTORS),
    claim=Claim(
        "Groups that a network found without labels can be learned from ten examples, far above chance, while groups "
        "by lot cannot. Measured as the share of right answers to 2000 forced choices, by a judge who sees where edges "
        "run and not the features that made the groups (baseline: as many groups by lot).",
        figure="mean_learnability",
        arms={"MoCo": {}, "by lot": {"by": "random"}, "pixels": {"features": "pixels"},
              "untrained": {"features": "untrained"}, "true classes": {"by": "classes"}},
        baseline="by_lot",
    ),
    sweeps=(
        Sweep("Examples and groups", {"examples": (1, 3, 10, 30), "clusters": (5, 20, 80)},
              "How many examples does it take, and are many small groups easier to learn than few large ones?"),
    ),
)  # fmt: skip
