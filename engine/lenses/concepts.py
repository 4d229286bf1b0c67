"""Lenses on groups of pictures: are they concepts, what do they look like in words, and what is one trial?"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from engine.bench import Bench
from engine.data.base import Dataset, Facts
from engine.data.subset import spread
from engine.method import Lens, Params, Pictures, Report, Scatter, Table, knob
from engine.metrics import describer
from engine.metrics.concepts import Bank, Examined, Seen, describe, examine, look_at, nearest_to_mean, rows
from engine.metrics.forced_choice import Score
from engine.ops.attributes import NAMES, attributes


class Grouping(Protocol):
    """A model that sorts pictures into groups and says what each looks like."""

    facts: Facts
    params: Any
    count: int
    literals: Tensor
    cuts: Tensor
    reach: Tensor
    seed: Tensor

    def features(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] -> (B, D): what pictures are grouped by."""

    def nearest(self, features: Tensor) -> Tensor:
        """Features (B, D) -> the group (B,) of each."""

    def grouped(self, features: Tensor, labels: Tensor) -> Tensor:
        """The group (N,) of each picture of the set that was grouped."""


def grouped_set(model: Grouping, seen: Seen, bench: Bench) -> tuple[Dataset, Bank, Tensor]:
    """The set that was grouped, what is known of its pictures, the group (N,) of each. The network is asked once."""
    p = model.params
    data = spread(bench.data(p.data, "train", model.facts.size), p.pictures)
    found = bench.recall(lambda: look_at(bench.chunks(data), model.features, seen), "bank", p, seen)
    bank = Bank(**found)
    device = model.cuts.device
    return data, bank, model.grouped(bank.features.to(device), bank.labels.to(device)).cpu()


def asked(model: Grouping, p: Any, trials: int, bench: Bench) -> tuple[Dataset, Bank, Tensor, Examined]:
    """The same, and both judges' answers to so many trials; p: with knobs examples, hard, judge and seed."""
    data, bank, groups = grouped_set(model, p.judge, bench)
    found = examine(bank, groups, model.count, trials, p.examples, p.seed, most=model.params.literals, hard=p.hard)
    return data, bank, groups, found


class AskedParams(Params):
    examples: int = knob(10, "members that are shown before the pair", 1, 30, tiny=2)
    hard: bool = knob(False, "take the stranger from the nearest other group")
    judge: Seen = knob("edges", "what the judge by examples sees of a picture")
    seed: int = knob(0, "other draws", 0, 9999)


class ConceptsParams(AskedParams):
    trials: int = knob(1000, "trials, in turns over the groups", 10, 20_000, tiny=10, log=True)


def scores(told: dict[str, Score]) -> Report:
    """What each judge scored, as columns of a table."""
    return {
        "judge": list(told), "right": [f"{one.right} of {one.asked}" for one in told.values()],
        "share": [f"{one.share:.1%}" for one in told.values()],
        "interval": [f"{one.low:.1%} to {one.high:.1%}" for one in told.values()],
    }  # fmt: skip


def concepts(model: Grouping, p: ConceptsParams, images: None, bench: Bench) -> Report:
    """How learnable and how describable each group is, under these rules."""
    data, bank, groups, found = asked(model, p, p.trials, bench)
    small = ", ".join(str(group + 1) for group in found.skipped)
    there = len(found.skipped) + len(found.learnability.groups)
    of = f"{there - len(found.skipped)} of {there}" + (f"; too small: {small}" if small else "")
    told = {"by examples": found.learnability, "by words": found.describability}
    report = scores(told) | rows(found, bank, groups, data)
    return report | {"groups_asked_about": [of] * len(told)}


CONCEPTS = Lens(
    "Concepts", ConceptsParams, concepts,
    (
        Table(("judge", "right", "share", "interval", "groups_asked_about"), "Right answers, with the 95 % interval; "
              "chance is 50 %. A group is too small if no member is left to be asked about besides the examples."),
        Scatter(("purity_and_learnability", "commonest", "typical"), "A group is drawn as its most typical picture, "
                "framed in the colour of its commonest class. Right: it is one class. High: it can be learned.",
                ("purity", "learnability")),
        Scatter(("describability_and_learnability", "commonest", "typical"), "High and left: easier shown than said. "
                "Below 0.5, as happens when it is hard: strangers look more like the group than its own members do.",
                ("describability", "learnability")),
        Table(("group", "members", "learnability", "describability", "mostly", "description"), "What is said of each "
              "group, and how often each judge was right about it."),
    ),
    "Which groups can be learned from a few examples, and which can be told in words?", takes="nothing",
)  # fmt: skip


class DescriptionsParams(Params):
    shown: int = knob(10, "groups that are shown", 1, 30, tiny=2)
    after: int = knob(0, "so many groups left out before", 0, 10_000)
    literals: int = knob(3, "attributes that a description may name", 1, describer.MOST)


CARDS = ("member_1", "member_2", "member_3", "missed_1", "missed_2", "mistaken_1", "mistaken_2")


def descriptions(model: Grouping, p: DescriptionsParams, images: None, bench: Bench) -> Report:
    """A card a group: its description, members it fits, members it misses, strangers it fits as well."""
    data, bank, groups = grouped_set(model, "edges", bench)
    chosen = [group for group in groups.unique().tolist() if group >= 0][p.after : p.after + p.shown]
    if not chosen:
        raise ValueError(f"after: there are {model.count} groups, so at most {model.count - 1} can be left out, "
                         f"got {p.after}")  # fmt: skip
    measured = bank.attributes.numpy()
    scale, said, fitted = describe(bank, groups, model.count, int(model.seed), p.literals)
    fresh = torch.from_numpy(~fitted) & (groups >= 0)
    told: dict[str, list[Any]] = {"members_it_fits": [], "others_it_fits": [], "description": []}
    cards: dict[str, list[Tensor]] = {name: [] for name in CARDS}
    for group in chosen:
        holds = torch.from_numpy(describer.holds(said[group], measured, scale))
        member = groups == group
        order = nearest_to_mean(bank, member)
        order = order[fresh[order]]
        strangers = (fresh & ~member & holds).nonzero().flatten()
        strangers = strangers[torch.randperm(len(strangers), generator=torch.Generator().manual_seed(group))]
        fill(cards, "member", order[holds[order]], data)
        fill(cards, "missed", order[~holds[order]], data)
        fill(cards, "mistaken", strangers, data)
        told["members_it_fits"].append(share(holds[fresh & member]))
        told["others_it_fits"].append(share(holds[fresh & ~member]))
        told["description"].append(describer.in_words(said[group], scale))
    return {
        "group": torch.tensor(chosen) + 1, **told, **{name: torch.stack(part) for name, part in cards.items()},
        "words": [" to ".join(describer.WORDS.get(name, (f"few {name}", f"many {name}"))) for name in NAMES],
        "measure": [describer.MEANINGS[name] for name in NAMES],
    }  # fmt: skip


def fill(cards: dict[str, list[Tensor]], name: str, places: Tensor, data: Dataset) -> None:
    """Put the first pictures at some places into the columns of a name; black where there are no more."""
    columns = [column for column in cards if column.startswith(name)]
    facts = data.facts
    pictures = list(data.batch(places[: len(columns)]).to("cpu").images) if len(places) else []
    blank = torch.zeros(facts.channels, facts.size, facts.size)
    for i, column in enumerate(columns):
        cards[column].append(pictures[i] if i < len(pictures) else blank)


def share(holds: Tensor) -> str:
    """How many of these are True, in words."""
    return f"{holds.float().mean():.0%}" if len(holds) else "none here"


DESCRIPTIONS = Lens(
    "Descriptions", DescriptionsParams, descriptions,
    (
        Table(("group", "description", "members_it_fits", "others_it_fits"), "The sentences were found on one half of "
              "the pictures; of how many of the other half they hold. A good one fits many members and few others."),
        Pictures(CARDS, "A row a group, in the table's order: members of which its sentence holds, members it misses, "
                 "and pictures of other groups it would take for members. Black: there is none."),
        Table(("words", "measure"), "What the words mean. Of all pictures, the upper fifth is very tall, the upper two "
              "fifths are tall, the lower two fifths wide."),
    ),
    "What does each group look like, in words, and where do the words fail?", takes="nothing",
)  # fmt: skip


class TrialParams(AskedParams):
    number: int = knob(3, "which trial", 1, 1000, tiny=1)


SIDES = ("left", "right")


def trial(model: Grouping, p: TrialParams, images: None, bench: Bench) -> Report:
    """One forced choice: what was shown, what was asked, what both judges said."""
    data, _, _, found = asked(model, p, p.number, bench)
    one, by_examples, by_words = found.trials[-1], found.by_examples[-1], found.by_words[-1]
    sentence = describer.in_words(found.descriptions[one.group], found.scale)
    return {
        "examples": data.batch(torch.tensor(one.references)).to("cpu").images,
        "pair": data.batch(torch.tensor(one.pair)).to("cpu").images,
        "side": [f"the {side} one" for side in SIDES],
        "judge": ["by examples", "by words", "in truth"],
        "was_given": [f"the {len(one.references)} pictures above", sentence, f"group {one.group + 1}"],
        "says_it_is": [f"the {SIDES[given]} one" for given in (by_examples, by_words, one.answer)],
        "and_that_is": [("wrong", "correct")[given == one.answer] for given in (by_examples, by_words)] + [""],
    }  # fmt: skip


TRIAL = Lens(
    "One trial", TrialParams, trial,
    (
        Pictures(("examples",), "These belong together. (The judge by words does not see them.)"),
        Pictures(("pair",), "Which of the two belongs to them? Decide before you read on.", under=("side",)),
        Table(("judge", "was_given", "says_it_is", "and_that_is"), "What each judge was given, and what it said."),
    ),
    "A single forced choice, as both judges get it. The page of maps deals such trials to you.", takes="nothing",
)  # fmt: skip


class MeasuredParams(Params):
    """Nothing to set."""


def measured(model: Grouping, p: MeasuredParams, images: Tensor, bench: Bench) -> Report:
    """What is measured on pictures at hand, the group that each falls into, and whether the group's sentence holds."""
    values = attributes((images.float() * 255).round().byte().cpu().contiguous().numpy())
    scale = describer.Scale(model.cuts.float().cpu().numpy(), model.reach.float().cpu().numpy())
    groups = model.nearest(model.features(images)).tolist()
    said = model.literals.cpu().numpy()
    holds = [bool(describer.holds(said[group], values[i : i + 1], scale)[0]) for i, group in enumerate(groups)]
    return {
        "picture": images, "number": torch.arange(1, len(images) + 1),
        "falls_into": [f"group {group + 1}" for group in groups],
        "sentence": [describer.in_words(said[group], scale) for group in groups],
        "holds": [("does not hold", "holds")[one] for one in holds],
        **{name: torch.from_numpy(column) for name, column in zip(NAMES, values.T.copy(), strict=True)},
    }  # fmt: skip


MEASURED = Lens(
    "Measured", MeasuredParams, measured,
    (
        Pictures(("picture",), "The group that each picture falls into, by its features; the group's sentence; and "
                 "whether that holds of the picture.", under=("falls_into", "sentence", "holds")),
        Table(("number", *NAMES), "What is measured on each: mean ink; height over width; left-right symmetry; how "
              "many pieces and holes; the share of ink in the upper half; change from pixel to pixel; how much of "
              "its box it fills."),
    ),
    "Into which group would your picture fall, and would its description fit?",
)  # fmt: skip
