"""Looking through a network that foretells which views of a picture help: choices, losses, what each way is worth."""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.augment.candidates import CANDIDATES, views
from engine.augment.corruptions import CORRUPTIONS
from engine.augment.faulty import FAULTS, Fault, faulty
from engine.bench import Bench
from engine.data.base import Batch, Facts
from engine.data.subset import labels_in
from engine.lenses.picked import last_picture, picked
from engine.method import Bars, Curves, Lens, Matrix, Params, Pictures, Report, Table, knob
from engine.metrics.chosen_views import best, chosen_mean, view_losses, ways
from engine.metrics.classification import accuracy
from engine.metrics.doubts import hesitation
from engine.ops.choose import choose
from engine.ops.ranks import ranks, spearman

VIEWS = tuple(CANDIDATES)


class Chooses(Protocol):
    """A classifier, `target`, and what is foretold of its views: `told` (B, K, classes) and `hopes` (B, K)."""

    params: Any
    facts: Facts
    target: nn.Module

    def told(self, images: Tensor) -> Tensor: ...

    def hopes(self, images: Tensor) -> Tensor: ...


def tested(model: Chooses, fault: str, count: int, bench: Bench) -> Batch:
    """Test pictures with one fault."""
    return faulty(bench.data(model.params.data, "test", model.facts.size), fault, count, bench.device)


def asked(model: Chooses, images: Tensor, bench: Bench) -> tuple[Tensor, Tensor]:
    """What is said of all views, (B, K, classes), and what is hoped of them, (B, K); from memory the second time."""
    return bench.recall(lambda: (model.told(images), model.hopes(images)), "chosen views", images)


class ViewsParams(Params):
    fault: Fault = knob("turned left", "what happened to the pictures")
    picture: int = knob(1, "picture whose twelve views are fanned out", 1, 64)
    k: int = knob(3, "views that are chosen", 1, len(VIEWS))


TOP = ("given", "first choice", "second choice", "third choice")


def look_views(model: Chooses, p: ViewsParams, images: Tensor, bench: Bench) -> Report:
    """The views that are chosen for each picture, and all of one picture's, the most promising first."""
    one = picked(p.picture, images)
    images = CORRUPTIONS[p.fault](images, torch.Generator().manual_seed(0))
    seen = views(images)
    told, hopes = asked(model, images, bench)
    order = best(hopes, len(VIEWS))
    rows = torch.arange(len(images), device=order.device)
    mean = chosen_mean(told, order[:, : p.k])
    classes = model.facts.classes
    return {
        "given": images, **{name: seen[rows, order[:, place]] for place, name in enumerate(TOP[1:])},
        "picture": torch.arange(1, len(images) + 1),
        "chosen": [", ".join(VIEWS[j] for j in row) for row in order[:, : p.k].tolist()],
        "before": [classes[c] for c in told[:, 0].argmax(dim=1).tolist()], "sure before": told[:, 0].amax(dim=1),
        "after": [classes[c] for c in mean.argmax(dim=1).tolist()], "sure after": mean.amax(dim=1),
        "fan": seen[one, order[one]],
        "hope": hopes[one, order[one]], "view": [f"{i}. {VIEWS[j]}" for i, j in enumerate(order[one].tolist(), 1)],
        "doubt": hesitation(told[one, order[one]]),
    }  # fmt: skip


class KnownParams(Params):
    fault: Fault = knob("turned left", "what happened to the picture")
    picture: int = knob(1, "which test picture", 1, 200)
    k: int = knob(3, "views that are chosen", 1, len(VIEWS))


def look_known(model: Chooses, p: KnownParams, images: None, bench: Bench) -> Report:
    """A test picture, whose class is known: what was foretold of its views, and what their losses are."""
    batch = tested(model, p.fault, 200, bench)
    one = slice((p.picture - 1) % len(batch), (p.picture - 1) % len(batch) + 1)
    image, label = batch.images[one], labels_in(batch)[one]
    told, hopes = asked(model, image, bench)
    losses, classes = view_losses(told, label)[0], model.facts.classes
    order = best(hopes, len(VIEWS))[0]
    place = ranks(-losses[None])[0]
    answers = ways(told, hopes, label, p.k)
    return {
        "given": image, "fan": views(image)[0, order], "hope": hopes[0, order], "true loss": losses[order],
        "view": [f"{i}. {VIEWS[j]}" + (" *" if i <= p.k else "") for i, j in enumerate(order.tolist(), 1)],
        "foretold place": torch.arange(1.0, len(VIEWS) + 1), "true place": place[order],
        "way": list(answers), "says": [classes[int(answer.argmax())] for answer in answers.values()],
        "probability of the truth": torch.stack([answer[0, label[0]] for answer in answers.values()]),
        "truth": [classes[int(label)]] * len(answers),
        "in_words": [f"Rank correlation of the foretold order with the true one: "
                     f"{float(spearman(hopes, -losses[None])[0]):.2f}; 1 is the same order, 0 chance."],
    }  # fmt: skip


class AmongParams(Params):
    count: int = knob(60, "test pictures with each fault", 4, 1000, tiny=4)


def look_among(model: Chooses, p: AmongParams, images: None, bench: Bench) -> Report:
    """For each fault: which view comes first, and how right the foretold order is."""
    choices, orders = [], []
    for fault in FAULTS:
        batch = tested(model, fault, p.count, bench)
        told, hopes = asked(model, batch.images, bench)
        choices.append(F.one_hot(best(hopes, 1)[:, 0], len(VIEWS)).float().mean(dim=0))
        orders.append(spearman(hopes, -view_losses(told, labels_in(batch))).mean())
    return {"first choice": torch.stack(choices), "rows": list(FAULTS), "columns": list(VIEWS),
            "correlation of places": torch.stack(orders), "fault": list(FAULTS)}  # fmt: skip


class ManyParams(Params):
    fault: Fault = knob("dark", "what happened to the pictures")
    count: int = knob(200, "test pictures", 4, 2000, tiny=4)


def look_many(model: Chooses, p: ManyParams, images: None, bench: Bench) -> Report:
    """What more views bring: their number is the cost, for each is a pass of the classifier."""
    batch = tested(model, p.fault, p.count, bench)
    (told, hopes), labels = asked(model, batch.images, bench), labels_in(batch)
    numbers = range(1, len(VIEWS) + 1)

    def curve(order: Tensor) -> Tensor:
        right = [accuracy(chosen_mean(told, order[:, :k]).argmax(dim=1), labels).item() for k in numbers]
        return torch.tensor(list(zip(numbers, right, strict=True)), dtype=torch.float32)

    dice, losses = torch.Generator().manual_seed(0), view_losses(told, labels)
    report: Report = {
        "learned": curve(best(hopes, len(VIEWS))), "by true loss": curve(best(-losses, len(VIEWS))),
        "random": curve(best(torch.rand(hopes.shape, generator=dice).to(hopes.device), len(VIEWS))),
        "as it is": curve(torch.zeros_like(hopes).long()),
    }  # fmt: skip
    wanted, found = (ranks(each).mean(dim=0) for each in (hopes, -losses))
    shown = {"foretold place": wanted, "true place": found, "view": list(VIEWS), "shown": batch.images[:8]}
    return report | shown


class WaysParams(Params):
    k: int = knob(1, "views that are chosen and averaged", 1, len(VIEWS))
    count: int = knob(100, "test pictures with each fault", 4, 1000, tiny=4, fold=True)


PASSES = {"as it is": 1, "all 12": 12, "learned 1": 1, "learned 3": 3, "oracle": 12}


def look_ways(model: Chooses, p: WaysParams, images: None, bench: Bench) -> Report:
    """The share that each way to choose views gets right, without a fault and with each."""
    rows = []
    answers: dict[str, Tensor] = {}
    for fault in FAULTS:
        batch = tested(model, fault, p.count, bench)
        (told, hopes), labels = asked(model, batch.images, bench), labels_in(batch)
        answers = ways(told, hopes, labels, p.k)
        rows.append(torch.stack([accuracy(answer.argmax(dim=1), labels) for answer in answers.values()]))
    table, names = torch.stack(rows), list(answers)
    return {
        "share right": table, "rows": list(FAULTS), "columns": names, "way": names,
        "sound pictures": table[0], "mean over faults": table[1:].mean(dim=0),
        "passes": torch.tensor([PASSES.get(name, p.k) for name in names]),  # all others take k
    }  # fmt: skip


class AgainParams(Params):
    fault: Fault = knob("turned and dark", "what happened to the pictures")


AGAIN = ("given", "after 1 view", "after 2 views", "after 3 views")


@torch.no_grad()
def look_again(model: Chooses, p: AgainParams, images: Tensor, bench: Bench) -> Report:
    """The first choice for each picture, then the first choice for what that gave, until none is wanted."""
    seen = CORRUPTIONS[p.fault](images, torch.Generator().manual_seed(0))
    steps, told = [seen], [model.target(seen).softmax(dim=1)]
    done: list[list[str]] = [[] for _ in images]
    going = torch.ones(len(images), dtype=torch.bool)
    for _ in AGAIN[1:]:
        choice = best(model.hopes(seen), 1)[:, 0].cpu() * going  # view 0 leaves a picture as it is
        going &= choice > 0
        seen = choose(seen, choice, dict(enumerate(CANDIDATES.values())))
        steps.append(seen)
        told.append(model.target(seen).softmax(dim=1))
        for chain, j in zip(done, choice.tolist(), strict=True):
            chain += [VIEWS[j]] if j else []
    classes = model.facts.classes
    return dict(zip(AGAIN, steps, strict=True)) | {
        "picture": torch.arange(1, len(images) + 1), "views": [", then ".join(chain) or "none" for chain in done],
        "before": [classes[c] for c in told[0].argmax(dim=1).tolist()], "sure before": told[0].amax(dim=1),
        "after": [classes[c] for c in told[-1].argmax(dim=1).tolist()], "sure after": told[-1].amax(dim=1),
    }  # fmt: skip


ANSWERS = ("before", "sure before", "after", "sure after")
LENSES = (
    Lens(
        "Views",
        ViewsParams,
        look_views,
        (
            Pictures(TOP, "Each picture, and the views that promise most."),
            Table(("picture", "chosen", *ANSWERS), "What it is called as it is, and by the mean of the chosen."),
            Pictures(("fan",), "All twelve views of the chosen picture, the most promising first."),
            Bars(("hope", "view"), "How much is expected of each; the twelve add up to 1."),
            Bars(
                ("doubt", "view"),
                "The classifier's own doubt (entropy, nats) on each, to compare: it cannot be "
                "had without asking it twelve times.",
            ),
        ),
        "Spoil your pictures: does it find the view that mends them?",
        ends=last_picture,
    ),
    Lens(
        "Foretold and true",
        KnownParams,
        look_known,
        (
            Pictures(("fan",), "The picture in twelve views, the most promising first."),
            Bars(
                ("true loss", "view"),
                "The classifier's loss on each, in the foretold order; a star marks the "
                "chosen. A good forecast has short bars on top.",
            ),
            Bars(("foretold place", "true place", "view"), "Places in both orders, 1 for the best."),
            Table(("in_words",), "On average over pictures and faults: see Fault and view."),
            Table(("way", "says", "truth", "probability of the truth"), "What each way to choose makes of it."),
        ),
        "A test picture whose class is known: was the right view foretold?",
        takes="nothing",
    ),
    Lens(
        "Fault and view",
        AmongParams,
        look_among,
        (
            Matrix(
                ("first choice",),
                "Share of pictures with a fault (row) for which a view (column) comes first: "
                "what was turned left is turned right.",
            ),
            Bars(("correlation of places", "fault"), "How right the foretold order is, by fault."),
        ),
        "Which view is chosen against which fault?",
        takes="nothing",
    ),
    Lens(
        "How many",
        ManyParams,
        look_many,
        (
            Curves(
                ("learned", "random", "by true loss", "as it is"),
                "Share right with so many views: each costs a pass. With all twelve, every choice is the same.",
                over="views",
            ),
            Bars(("foretold place", "true place", "view"), "Mean place of each view, 1 for the best."),
            Pictures(("shown",), "Some of the pictures."),
        ),
        "One view, well chosen, or many?",
        takes="nothing",
    ),
    Lens(
        "Every way",
        WaysParams,
        look_ways,
        (
            Matrix(
                ("share right",),
                "Share right on test pictures with each fault (row), by the way the views are "
                "chosen (column). The oracle knows the labels and takes the view of the lowest loss.",
            ),
            Bars(("sound pictures", "mean over faults", "way"), "The first row, and the mean of the others."),
            Table(("way", "passes"), "What it costs, in passes of the classifier; the forecast costs about one more."),
        ),
        "As it is, all views, random ones, foretold ones, the oracle: on sound pictures and on faulty ones.",
        takes="nothing",
    ),
    Lens(
        "Again",
        AgainParams,
        look_again,
        (
            Pictures(AGAIN, "After each choice the result is looked at anew, until it is best as it is."),
            Table(("picture", "views", *ANSWERS), "What was done, and what it is called before and after."),
        ),
        "Two faults at once want two views, one after the other.",
    ),
)
