"""Are groups of pictures concepts? Two judges answer the same forced choices: one learns each group from a few members,
the other is told what the group looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from engine.data.base import Batch, Dataset
from engine.metrics import describer, forced_choice
from engine.metrics.forced_choice import Score, Trial
from engine.metrics.neighbours import PIXELS
from engine.ops.attributes import attributes
from engine.ops.hog import hog

Seen = Literal["edges", "pixels"]
EYES: dict[Seen, Callable[[Tensor], Tensor]] = {"edges": hog, "pixels": PIXELS}
"""What the learner may see of a picture: neither was learned from data."""


@dataclass(frozen=True)
class Bank:
    """What is known of N pictures, on the CPU: features (N, D), by which they are grouped; seen (N, E), what the
    learner sees; attributes (N, 8), what is measured; labels (N,), -1 where unknown; copies (N,), equal for the same
    picture."""

    features: Tensor
    seen: Tensor
    attributes: Tensor
    labels: Tensor
    copies: Tensor


@torch.no_grad()
def look_at(batches: Iterable[Batch], features: Callable[[Tensor], Tensor], seen: Seen) -> dict[str, Tensor]:
    """The fields of a `Bank` of all pictures."""
    found: dict[str, list[Tensor]] = {name: [] for name in ("features", "seen", "attributes", "labels", "copies")}
    for batch in batches:
        pictures = (batch.images.float() * 255).round().byte().cpu().contiguous()
        found["features"].append(features(batch.images).float().cpu())
        found["seen"].append(EYES[seen](batch.images.float()).float().cpu())
        found["attributes"].append(torch.from_numpy(attributes(pictures.numpy())))
        found["labels"].append(torch.full((len(batch),), -1) if batch.labels is None else batch.labels.cpu())
        found["copies"].append(torch.from_numpy(forced_choice.copies(pictures.numpy())))
    return {name: torch.cat(parts) for name, parts in found.items()}


@dataclass(frozen=True)
class Examined:
    """trials, and what each judge answered. skipped: groups too small to be asked about. scale, descriptions: see
    `describer`. fitted (N,) bool: pictures by which groups were described; those that were asked about are others."""

    trials: tuple[Trial, ...]
    by_examples: list[int]
    by_words: list[int]
    skipped: tuple[int, ...]
    scale: describer.Scale
    descriptions: np.ndarray
    fitted: np.ndarray

    @property
    def learnability(self) -> Score:
        return forced_choice.score(self.trials, self.by_examples)

    @property
    def describability(self) -> Score:
        return forced_choice.score(self.trials, self.by_words)


def describe(
    bank: Bank, groups: Tensor, count: int, seed: int = 0, most: int = describer.MOST
) -> tuple[describer.Scale, np.ndarray, np.ndarray]:
    """Scale and descriptions of groups (N,) by one half of the pictures; and which they are, (N,) bool."""
    named, measured = groups.cpu().numpy(), bank.attributes.numpy()
    fitted = describer.halves(len(named), seed)
    scale, known = describer.scale_of(measured[fitted]), fitted & (named >= 0)
    return scale, describer.describe(measured[known], named[known], count, scale, most), fitted


def examine(
    bank: Bank, groups: Tensor, count: int, trials: int, references: int = 10, seed: int = 0, *,
    most: int = describer.MOST, hard: bool = False,
) -> Examined:  # fmt: skip
    """Ask both judges about groups (N,) of the bank's pictures, of which there are `count`; -1 for rows of none.

    Descriptions, of `most` literals, are made of one half of the pictures and all trials of the other, which both
    judges answer alike. hard: the stranger is of the group with the nearest centre. ValueError when no group is large
    enough to be asked about.
    """
    scale, descriptions, fitted = describe(bank, groups, count, seed, most)
    named = groups.cpu().numpy()
    centres = forced_choice.centres_of(bank.features.numpy(), named, count) if hard else None
    dealt = forced_choice.deal(
        np.where(fitted, -1, named), trials, references, seed, centres=centres, copies=bank.copies.numpy()
    )
    by_examples = forced_choice.answers(dealt.trials, bank.seen.numpy())
    by_words = forced_choice.answers(dealt.trials, bank.attributes.numpy(), describer.reader(scale), descriptions)
    return Examined(dealt.trials, by_examples, by_words, dealt.skipped, scale, descriptions, fitted)


def rows(found: Examined, bank: Bank, groups: Tensor, data: Dataset) -> dict[str, Any]:
    """A row for each group that was asked about: "group" (from 1), "members", "learnability", "describability",
    "description", "mostly", and "typical", its most typical picture. "commonest" is the number of its commonest
    class. Pairs of measures are to be drawn; those with purity, the share of that class, where there are classes."""
    asked, classes = list(found.learnability.groups), data.facts.classes
    told: dict[str, Any] = {
        "group": torch.tensor(asked) + 1,
        "members": torch.stack([(groups == group).sum() for group in asked]),
        "learnability": torch.tensor(list(found.learnability.groups.values())),
        "describability": torch.tensor(list(found.describability.groups.values())),
        "description": [describer.in_words(found.descriptions[group], found.scale) for group in asked],
        "typical": data.batch(torch.stack([nearest_to_mean(bank, groups == group)[0] for group in asked]))
        .to("cpu")
        .images,
    }
    told["describability_and_learnability"] = torch.stack([told["describability"], told["learnability"]], dim=1)
    counts = [torch.bincount(bank.labels[(groups == group) & (bank.labels >= 0)], minlength=len(classes))
              for group in asked]  # fmt: skip
    if not classes or not all(count.sum() for count in counts):
        return told | {"mostly": ["no classes here"] * len(asked), "commonest": torch.zeros(len(asked)).long()}
    purity = torch.stack([count.max() / count.sum() for count in counts])
    commonest = torch.stack([count.argmax() for count in counts])
    said = [f"{classes[best]} {share:.0%}" for best, share in zip(commonest.tolist(), purity.tolist(), strict=True)]
    pairs = torch.stack([purity, told["learnability"]], dim=1)
    return told | {"mostly": said, "commonest": commonest, "classes": classes, "purity_and_learnability": pairs}


def nearest_to_mean(bank: Bank, members: Tensor) -> Tensor:
    """Positions of the members (N,) bool, those first that are nearest to the mean of their features."""
    places = members.nonzero().flatten()
    away = (bank.features[places] - bank.features[places].mean(dim=0)).square().sum(dim=1)
    return places[away.argsort(stable=True)]
