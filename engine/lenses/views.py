"""Test-time augmentation as a classifier sees it: a fan of views, merged; which of them are worth their pass."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from engine.augment.fan import FAN, NAMES, Name, fan
from engine.bench import Bench
from engine.data.subset import spread
from engine.lenses.classifier import Classifies
from engine.method import Bars, Curves, Lens, Matrix, Params, Pictures, Report, Table, knob
from engine.metrics.views import Merge, agreement, cheapest, closeness, frontier, merged, pareto, right, warnings

PORTION = 128
"""Pictures that the network is asked about at once."""
USUAL: tuple[Name, ...] = (
    "as it is", "mirrored", "shift left", "shift right", "shift up", "shift down", "zoom in", "zoom out",
)  # fmt: skip
VIEWS = "the views that are asked and merged"
MERGE = "how their answers become one; max: of each class the highest probability that any view gives it"


class FanParams(Params):
    views: tuple[Name, ...] = knob(USUAL, VIEWS)
    merge: Merge = knob("mean of probabilities", MERGE)


@torch.no_grad()
def told(model: Classifies, images: Tensor) -> Tensor:
    """What the network says, logits (K, N, classes), of the pictures (N, C, S, S) in all views."""
    seen = fan(images)
    said = torch.cat([model(part).float() for part in seen.flatten(0, 1).split(PORTION)])
    return said.unflatten(0, seen.shape[:2])


def places(views: tuple[Name, ...]) -> list[int]:
    """Where the views stand in the fan."""
    if not views:
        raise ValueError("views: none is chosen; choose at least one")
    return [i for i, name in enumerate(NAMES) if name in views]


def in_all_views(model: Classifies, images: Tensor, bench: Bench) -> tuple[Tensor, Tensor]:
    """The first picture in all views, (K, C, S, S), and what is said of all pictures in them; asked once."""
    return bench.recall(lambda: (fan(images)[:, 0], told(model, images)), "views", images)


def look_fan(model: Classifies, params: FanParams, images: Tensor, bench: Bench) -> Report:
    """One picture in all views, what each is called, and what the chosen ones say together."""
    seen, logits = in_all_views(model, images, bench)
    chosen = places(params.views)
    chance = logits[:, 0].softmax(dim=1)
    whole = merged(logits[chosen], params.merge)[0]
    sure, said = chance.max(dim=1)
    likely = torch.maximum(whole, chance[0]).topk(min(5, len(whole))).indices
    return {
        "fan": seen, "sure": sure,
        "view": [f"{'✓ ' if i in chosen else ''}{name}" for i, name in enumerate(NAMES)],
        "says": [f"{model.classes[c]} {p:.0%}" for c, p in zip(said.tolist(), sure.tolist(), strict=True)],
        "as_it_is": chance[0, likely], "merged": whole[likely], "class": [model.classes[c] for c in likely.tolist()],
        "in_common": closeness(chance[chosen]), "rows": [NAMES[i] for i in chosen],
        "columns": [NAMES[i] for i in chosen], "in_words": [in_words(model, chance, whole, chosen)],
    }  # fmt: skip


def in_words(model: Classifies, chance: Tensor, whole: Tensor, chosen: list[int]) -> str:
    """A sentence on one picture: what it is called before and after, and who says something else."""
    before, after = int(chance[0].argmax()), int(whole.argmax())
    other = [f"{NAMES[i]} ({model.classes[c]})" for i in chosen if (c := int(chance[i].argmax())) != after]
    said = f"As it is: {model.classes[before]}, {float(chance[0, before]):.0%}. "
    count = "One view alone" if len(chosen) == 1 else f"{len(chosen)} views together"
    said += f"{count}: {model.classes[after]}, {float(whole[after]):.0%}. "
    if not other:
        return said + "All of them agree."
    return said + f"{len(other)} of {len(chosen)} say something else: {', '.join(other)}."


LOOK_FAN = Lens(
    "Fan", FanParams, look_fan,
    (
        Table(("in_words",), "Switch views on and off on the left: the network is asked once, the merging follows."),
        Pictures(("fan",), "Every view, what the network calls it, and how sure it is. ✓ has a say.",
                 under=("sure", "view", "says")),
        Bars(("as_it_is", "merged", "class"), "The picture as it is, and the chosen views merged."),
        Matrix(("in_common",), "What the answers of two views have in common: 1 is the same probabilities, 0 none of "
               "them. A dark row is a view that sees something else."),
    ),
    "One picture in eighteen views: which of them should have a say?",
    takes="image",
)  # fmt: skip


class WorthParams(FanParams):
    count: int = knob(400, "test pictures, evenly spread; on half of them sets are chosen, on the others measured", 8,
                      10_000, tiny=8, fold=True)  # fmt: skip
    within: float = knob(0.1, "the cheapest set may be so far below the best", 0.0, 5.0, unit="points", fold=True)


def asked(model: Classifies, count: int, bench: Bench) -> tuple[Tensor, Tensor | None, Tensor]:
    """Of test pictures: what the network says, logits (K, N, classes) of all views; the labels (N,), None where there
    are none of its classes; and the milliseconds that each view takes a picture, (K,).

    ValueError when nobody knows what it learned from.
    """
    if not model.data:
        raise ValueError("nobody knows which data this network learned from; look through a run or a method's demo")
    data = spread(bench.data(model.data, "test", model.facts.size), count)
    batch = data.batch(torch.arange(len(data))).to(bench.device)
    said, spent = [], []
    for view in FAN.values():
        began = time.perf_counter()
        with torch.no_grad():
            said.append(torch.cat([model(view.see(part)).float() for part in batch.images.split(PORTION)]).cpu())
        spent.append(1000 * (time.perf_counter() - began) / len(data))
    known = data.facts.classes == model.classes and batch.labels is not None and bool((batch.labels >= 0).all())
    return torch.stack(said), batch.labels.cpu() if known and batch.labels is not None else None, torch.tensor(spent)


def look_worth(model: Classifies, params: WorthParams, images: None, bench: Bench) -> Report:
    """On test pictures: what each view gains, what it costs, with whom it agrees, and whether it changes the label."""
    logits, labels, spent = bench.recall(lambda: asked(model, params.count, bench), "test views", params.count)
    chosen = places(params.views)
    warned = warnings(NAMES, logits, labels) or ["none of the eighteen does"]
    report: Report = {
        "agreement": agreement(logits[chosen]), "rows": [NAMES[i] for i in chosen],
        "columns": [NAMES[i] for i in chosen], "changes_the_label": [f"{one[0].upper()}{one[1:]}." for one in warned],
    }  # fmt: skip
    if labels is None:
        return report
    how = params.merge
    alone = [right(logits, [i], labels, how) for i in chosen]
    all_of_them = right(logits, chosen, labels, how)
    without = [all_of_them - right(logits, [j for j in chosen if j != i], labels, how) if len(chosen) > 1 else 0.0
               for i in chosen]  # fmt: skip
    beside = [right(logits, sorted({0, i}), labels, how) - right(logits, [0], labels, how) for i in chosen]
    half = slice(0, None, 2), slice(1, None, 2)
    found = bench.recall(lambda: frontier(logits[chosen][:, half[0]], labels[half[0]], how), "sets", chosen, how,
                         params.count)  # fmt: skip

    def measured(views: tuple[int, ...]) -> float:
        return right(logits[chosen][:, half[1]], views, labels[half[1]], how)

    passes = torch.arange(1.0, len(found) + 1)
    level = right(logits[:, half[1]], [0], labels[half[1]], how)
    best = max(found, key=lambda one: one.right)
    sets = {"the cheapest close to the best": cheapest(found, params.within / 100), "the best": best, "all": found[-1]}
    front = [len(one.views) for one in pareto(found)]
    return report | {
        "view": [NAMES[i] for i in chosen], "right_alone": torch.tensor(alone),
        "points_beside_as_it_is": 100 * torch.tensor(beside), "points_it_adds": 100 * torch.tensor(without),
        "agrees_with_as_it_is": agreement(logits)[0, chosen], "ms_a_picture": spent[chosen].round(decimals=2),
        "chosen_by": torch.stack([passes, torch.tensor([one.right for one in found])], dim=1),
        "on_the_others": torch.stack([passes, torch.tensor([measured(one.views) for one in found])], dim=1),
        "as_it_is_alone": torch.stack([passes, torch.full_like(passes, level)], dim=1),
        "set": ["as it is", *sets],
        "passes": torch.tensor([1, *(len(one.views) for one in sets.values())]),
        "right_where_chosen": torch.tensor([right(logits[:, half[0]], [0], labels[half[0]], how),
                                            *(one.right for one in sets.values())]),
        "right_on_others": torch.tensor([level, *(measured(one.views) for one in sets.values())]),
        "of": ["as it is", *(", ".join(NAMES[chosen[i]] for i in one.views) for one in sets.values())],
        "worth_it": [f"On the Pareto line: {', '.join(map(str, front))} "
                     f"{'pass' if front == [1] else 'passes'}. More than {front[-1]} gain nothing here."],
    }  # fmt: skip


WORTH = Lens(
    "Worth a pass?", WorthParams, look_worth,
    (
        Table(("changes_the_label",), "Views that change the label, as a turned 6 is a 9, or that show what this "
              "network never saw: leave them out."),
        Table(("set", "passes", "right_where_chosen", "right_on_others", "of"),
              "Which views to pay for. Sets are chosen on half of the test pictures; believe the other half."),
        Curves(("chosen_by", "on_the_others", "as_it_is_alone"),
               "Share right of the best set of so many views. Where the line ends its climb, further passes are "
               "wasted.", over="passes"),
        Table(("worth_it",), "Sets for which no cheaper one is as good, on the half where they were chosen."),
        Table(("view", "right_alone", "points_beside_as_it_is", "points_it_adds", "agrees_with_as_it_is",
               "ms_a_picture"),
              "Each chosen view: alone, merged with the picture as it is, and what the merged views lose without it."),
        Matrix(("agreement",), "Share of the test pictures that two views call the same."),
    ),
    "On the test pictures: what does each view gain, and which set is enough?",
    takes="nothing",
)  # fmt: skip
