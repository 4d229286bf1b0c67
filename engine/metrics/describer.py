r"""Describing a group of pictures by what can be measured on them, in a few words that others can use.

A literal says that one attribute is at least, or at most, so much: "tall" is the upper two fifths of heights, "very
tall" the upper fifth. A description is up to three literals that hold together, chosen one after the other by the
information that they give on who belongs, I = h((p + q) / 2) - (h(p) + h(q)) / 2 for the shares p of members and q of
strangers of which they hold, h the entropy of a coin: in a forced choice a member and a stranger are as likely.

Descriptions are (..., 3, 3) int64: attribute, sense (1: at least, -1: at most) and cut of each literal; -1 in all three
where there is none. With numpy alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.metrics.forced_choice import Judge
from engine.ops.attributes import NAMES

SHARES = (0.2, 0.4, 0.6, 0.8)
"""At which quantiles an attribute is cut."""
WORDS = {
    "ink": ("slight", "heavy"), "height": ("wide", "tall"), "symmetry": ("lopsided", "symmetric"),
    "top": ("bottom-heavy", "top-heavy"), "edges": ("plain", "finely drawn"), "filling": ("open", "solid"),
}  # fmt: skip
"""Low and high in a word. What is counted, pieces and holes, is said in numbers."""
MEANINGS = {
    "ink": "how much differs from the background",
    "height": "height over width",
    "symmetry": "how alike left and right are",
    "pieces": "parts that do not touch",
    "holes": "background that is shut in",
    "top": "share of the ink in the upper half",
    "edges": "change from pixel to pixel",
    "filling": "share of its box that has ink",
}
"""What is measured, for people."""
LEAST = {"pieces": 1, "holes": 0}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
MOST, WORTH = 3, 0.01
"""Literals of a description, and the information (nats) that each must add."""
NOTHING = "nothing that is measured tells them apart"


@dataclass(frozen=True)
class Scale:
    """cuts (A, 4), ascending: where literals may cut each attribute. spread (A,): what counts as a large difference."""

    cuts: np.ndarray
    spread: np.ndarray


def scale_of(attributes: np.ndarray) -> Scale:
    """The scale of pictures (N, A): quantiles, and between the numbers of what is counted; standard deviations."""
    cuts = np.quantile(attributes, SHARES, axis=0).T
    for name, least in LEAST.items():
        cuts[NAMES.index(name)] = least + 0.5 + np.arange(len(SHARES))
    spread = attributes.std(axis=0)
    return Scale(cuts.astype(np.float32), np.where(spread > 0, spread, 1).astype(np.float32))


def literals() -> np.ndarray:
    """(L, 3): all that there are."""
    return np.array([(a, sense, cut) for a in range(len(NAMES)) for sense in (1, -1) for cut in range(len(SHARES))])


def margins(said: np.ndarray, attributes: np.ndarray, scale: Scale) -> np.ndarray:
    """(N, L) by how much literals (L, 3) hold of pictures (N, A): 0 or more where they do."""
    attribute, sense, cut = said.T
    return sense * (attributes[:, attribute] - scale.cuts[attribute, cut]) / scale.spread[attribute]


def describe(attributes: np.ndarray, groups: np.ndarray, count: int, scale: Scale, most: int = MOST) -> np.ndarray:
    """Descriptions (count, 3, 3) of groups (N,), of `most` literals or fewer, found on pictures (N, A) that are shown.

    A group that has no member here, or all of them, has none. ValueError when more than three are asked for.
    """
    if not 1 <= most <= MOST:
        raise ValueError(f"most: expected 1 to {MOST} literals, got {most}")
    every = literals()
    holds = margins(every, attributes, scale) >= 0
    found = np.full((count, MOST, 3), -1, np.int64)
    for group in range(count):
        member = groups == group
        if not 0 < member.sum() < len(member):
            continue
        together, known = np.ones(len(member), bool), 0.0
        for place in range(most):
            both = holds & together[:, None]
            p, q = both[member].mean(axis=0), both[~member].mean(axis=0)
            told = np.where(p > q, information(p, q), 0.0)
            best = int(told.argmax())
            if told[best] < known + WORTH:
                break
            found[group, place], known, together = every[best], told[best], both[:, best]
    return found


def halves(count: int, seed: int = 0) -> np.ndarray:
    """(count,) bool, half of them True, drawn at random: the pictures by which groups are to be described. Whether the
    descriptions hold is asked of the others."""
    fitted = np.zeros(count, bool)
    fitted[np.random.default_rng([seed, 1]).permutation(count)[: count // 2]] = True
    return fitted


def information(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """In nats, on which of two equally likely kinds it is, by what holds of shares p of the one and q of the other."""
    return coin((p + q) / 2) - (coin(p) + coin(q)) / 2


def coin(p: np.ndarray) -> np.ndarray:
    """The entropy of a coin, in nats."""
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return -p * np.log(p) - (1 - p) * np.log(1 - p)


def given(description: np.ndarray) -> np.ndarray:
    """The literals (L, 3) that there are in a description."""
    return description[description[:, 0] >= 0]


def holds(description: np.ndarray, attributes: np.ndarray, scale: Scale) -> np.ndarray:
    """(N,) bool: of which pictures all literals hold; of none, where there is no literal."""
    said = given(description)
    return np.all(margins(said, attributes, scale) >= 0, axis=1, keepdims=True)[:, 0] & (len(said) > 0)


def reader(scale: Scale) -> Judge:
    """The judge who is given a description in place of examples, and of the pair their attributes: it takes the one of
    which more literals hold; of as many, the one of which they hold by more; of equals the first."""

    def judge(description: np.ndarray, one: np.ndarray, two: np.ndarray) -> int:
        by = margins(given(description), np.stack([one, two]), scale)
        met, much = (by >= 0).sum(axis=1), by.sum(axis=1)
        return int((met[1], much[1]) > (met[0], much[0]))

    return judge


def in_words(description: np.ndarray, scale: Scale) -> str:
    """A description as one reads it: "tall, symmetric, with two holes or more"."""
    words: list[str] = []
    numbers: list[str] = []
    limits: dict[int, dict[int, float]] = {}
    for attribute, sense, cut in given(description).tolist():
        both = limits.setdefault(attribute, {})
        level = scale.cuts[attribute, cut] if NAMES[attribute] in LEAST else SHARES[cut]
        both[sense] = (max if sense > 0 else min)(both.get(sense, level), level)
    for attribute, both in limits.items():
        name = NAMES[attribute]
        if name in LEAST:
            numbers.append(_counted(name, both.get(1), both.get(-1)))
        else:
            words += [_level(name, share, sense) for sense, share in both.items()]
    return ", ".join(words + numbers) or NOTHING


def glossary(description: np.ndarray) -> str:
    """What the words of a description mean: "wide to tall: height over width"."""
    named = dict.fromkeys(NAMES[attribute] for attribute in given(description)[:, 0].tolist())
    return "; ".join(f"{' to '.join(WORDS.get(name, (name,)))}: {MEANINGS[name]}" for name in named)


def _level(name: str, share: float, sense: int) -> str:
    """Above or below a quantile, in a word: the upper fifth is "very tall", all but the upper fifth "not very tall"."""
    high = share > 0.5
    very = "very " if share in (SHARES[0], SHARES[-1]) else ""
    positive = high == (sense > 0)
    return ("" if positive else "not ") + very + WORDS[name][high]


def _counted(name: str, least: float | None, most: float | None) -> str:
    """At least, at most or exactly so many."""
    low = LEAST[name] if least is None else math.ceil(least)
    high = math.inf if most is None else math.floor(most)
    number = low if high == math.inf or low == high else int(high)
    how = "{}" if low == high else "{} or more" if high == math.inf else "at most {}"
    word = NUMBERS[number] if number < len(NUMBERS) else str(number)
    noun = name.removesuffix("s") if number == 1 else name
    return ("in " if name == "pieces" else "with ") + how.format(f"{word} {noun}")
