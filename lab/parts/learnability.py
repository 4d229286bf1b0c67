"""The learnability game: after a few members of a group, which of two pictures belongs to it?"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import streamlit as st

from engine.metrics.describer import describe, glossary, halves, in_words, reader, scale_of
from engine.metrics.forced_choice import Deal, Score, Trial, answers, centres_of, copies, deal, score
from engine.ops.attributes import attributes
from lab import warm
from lab.atlas import Atlas
from lab.figures import data_url
from lab.forms import sentence
from lab.parts.embedding import chosen, made
from lab.pictures import rgb, tile

EXAMPLES, TRIALS = 10, 20
GROUPS, BY = ("clusters", "classes"), ("examples", "words")
SMALL, LARGE = 96, 190
"""Pixels that an example is wide, and each of the pair."""


@dataclass(frozen=True)
class Told:
    """What a visitor is told of each group in place of examples. by_words: what a program answers that is told the
    same."""

    sentences: list[str]
    meanings: list[str]
    by_words: list[int]


@dataclass
class Round:
    """One deal and how it was answered so far: 0 or 1, and the seconds each took. told: None for examples."""

    dealt: Deal
    names: list[str]
    told: Told | None = None
    given: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)

    @property
    def trial(self) -> Trial | None:
        """The one to answer now; None at the end."""
        return self.dealt.trials[len(self.given)] if len(self.given) < len(self.dealt.trials) else None

    def answer(self, choice: int) -> None:
        if self.trial is not None:
            self.given.append(choice)
            self.seconds.append(time.monotonic() - self.since)
            self.since = time.monotonic()

    def back(self) -> None:
        """Take the last answer back."""
        if self.given:
            self.given.pop()
            self.seconds.pop()
            self.since = time.monotonic()


def learnability() -> None:
    """The game on what is chosen."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted, _ = chosen(beside=False)
    atlases = made(wanted)
    if atlases:
        st.fragment(game)(atlases[0])


def game(atlas: Atlas) -> None:
    """A round: the deal, its trials one after the other, the score."""
    try:
        key, begin = dealing(atlas)
        if st.session_state.get("round-of") != key:
            st.session_state["round"], st.session_state["round-of"] = begin(), key
    except ValueError as error:
        st.error(f"{sentence(str(error))}")
        return
    now: Round = st.session_state["round"]
    if now.dealt.skipped:
        left = ", ".join(now.names[group] for group in now.dealt.skipped)
        st.caption(f"Too small to be asked about: {left}.")
    if now.trial is not None:
        ask(atlas, now, now.trial)
    else:
        result(atlas, now)


def dealing(atlas: Atlas) -> tuple[tuple[Any, ...], Callable[[], Round]]:
    """What is to be dealt: a key that names it, and how to begin."""
    labelled = bool((atlas.features.labels >= 0).any())
    with st.container(horizontal=True, vertical_alignment="center"):
        by = st.segmented_control(
            "Groups", GROUPS if labelled else GROUPS[:1], default=GROUPS[0], required=True, key="groups",
            bind="query-params", label_visibility="collapsed",
        )  # fmt: skip
        by_words = BY[1] == st.segmented_control(
            "Given", BY, default=BY[0], required=True, key="given", bind="query-params", label_visibility="collapsed",
            help="What you are given of a group: some members, or a sentence that a program wrote about it.",
        )  # fmt: skip
        hard = st.toggle("Hard", key="hard", bind="query-params", help="The stranger is of the nearest other group.")
        with st.popover("Knobs"):
            examples = int(st.number_input("examples", 1, 30, EXAMPLES, key="examples", bind="query-params"))
            trials = int(st.number_input("trials", 4, 200, TRIALS, key="trials", bind="query-params"))
            seed = int(st.number_input("deal", 0, 9999, 0, key="deal", bind="query-params", help="Other random draws."))
            count = atlas.usual
            if by == "clusters" and warm.is_warm():
                count = int(st.number_input("clusters", 2, 100, count, key="game-clusters"))
        st.caption(f"{atlas.says}.", width="content")
    found = atlas.features
    groups = atlas.grouped(count) if by == "clusters" else found.labels
    names = [f"cluster {i + 1}" for i in range(count)] if by == "clusters" else list(found.classes)

    def begin() -> Round:
        centres = centres_of(found.features, groups, len(names)) if hard else None
        if by_words:
            return worded(atlas, groups, names, trials, examples, seed, centres)
        return Round(deal(groups, trials, examples, seed, centres=centres, copies=copies(found.thumbnails)), names)

    return (atlas.id, by, by_words, count, hard, examples, trials, seed), begin


def worded(
    atlas: Atlas, groups: np.ndarray, names: list[str], trials: int, examples: int, seed: int,
    centres: np.ndarray | None,
) -> Round:  # fmt: skip
    """A round in which groups are told: sentences of one half of the pictures, trials of the other."""
    pictures = atlas.features.thumbnails
    measured, fitted = attributes(pictures), halves(len(groups), seed)
    scale, known = scale_of(measured[fitted]), fitted & (groups >= 0)
    said = describe(measured[known], groups[known], len(names), scale)
    dealt = deal(np.where(fitted, -1, groups), trials, examples, seed, centres=centres, copies=copies(pictures))
    by_words = answers(dealt.trials, measured, reader(scale), said)
    return Round(dealt, names, Told([in_words(one, scale) for one in said], [glossary(one) for one in said], by_words))


def ask(atlas: Atlas, now: Round, trial: Trial) -> None:
    """One trial, answered by the arrow keys or the buttons."""
    count, total = len(now.given), len(now.dealt.trials)
    left, right = st.columns(2, gap="large")
    with left:
        if now.told is not None:
            st.markdown(f"**Pictures that are**\n### {now.told.sentences[trial.group]}")
            meaning = now.told.meanings[trial.group]
            st.caption(f"A program found these words, by what it measures on all pictures. {sentence(meaning)}")
        else:
            st.markdown(f"**These {len(trial.references)} belong together.**")
            st.html(f'<div class="examples">{"".join(picture(atlas, row, SMALL) for row in trial.references)}</div>')
    with right:
        st.markdown(f"**Which of these two belongs to them?** :gray[{count + 1} of {total}]")
        with st.container(horizontal=True, gap="medium"):
            for side, (row, label) in enumerate(zip(trial.pair, ("Left", "Right"), strict=True)):
                with st.container(width=LARGE + 10, gap="small"):
                    st.html(picture(atlas, row, LARGE))
                    st.button(
                        f"{label} one", key=f"answer-{label.lower()}", on_click=now.answer, args=(side,),
                        shortcut=label, width="stretch",
                    )  # fmt: skip
        with st.container(horizontal=True):
            st.button("Back", key="answer-back", type="tertiary", disabled=not now.given, on_click=now.back,
                      shortcut="Backspace", help="Take the last answer back.")  # fmt: skip
            st.button("End here", key="answer-end", type="tertiary", disabled=not now.given, on_click=end, args=(now,))
        st.progress(count / total)


def picture(atlas: Atlas, row: int, wide: int) -> str:
    """A picture as a tag."""
    address = data_url(tile(rgb(atlas.features.thumbnails[row]), max(wide, 96)))
    return f'<img src="{address}" width="{wide}" height="{wide}" alt="" class="dealt">'


def end(now: Round) -> None:
    """Leave out the trials that were not answered."""
    now.dealt = Deal(now.dealt.trials[: len(now.given)], now.dealt.skipped)


def result(atlas: Atlas, now: Round) -> None:
    """The visitor's score beside those of two classifiers that saw the same examples."""
    trials = now.dealt.trials
    by_pixels = answers(trials, atlas.features.thumbnails.astype(np.float32) / 255)
    by_features = answers(trials, atlas.features.features)
    mine, pixels, features = (score(trials, given) for given in (now.given, by_pixels, by_features))
    st.markdown(verdict(mine, pixels, now.told is not None))
    told = {"You": mine, "Nearest mean, by pixels": pixels, "Nearest mean, by the network's features": features}
    if now.told is not None:
        told = {"You": mine, "A program, by the same words": score(trials, now.told.by_words)} | told
    st.dataframe(
        {
            "judge": list(told), "right": [f"{one.right} of {one.asked}" for one in told.values()],
            "share": [f"{one.share:.0%}" for one in told.values()],
            "95 % interval": [f"{one.low:.0%} to {one.high:.0%}" for one in told.values()],
            "said left": [f"{one.first:.0%}" for one in told.values()],
        }, hide_index=True, width="content", alt="right answers of each judge",
    )  # fmt: skip
    st.caption(
        "Chance is 50 %. Both classifiers saw "
        + ("the same examples as you" if now.told is None else "members of the group where you read words,")
        + " and take what is nearer to their mean. The one by features is a ceiling where the groups are clusters: "
        "they were made of these features (Laina et al. 2020)."
    )
    with st.container(horizontal=True):
        st.button("Play again", type="primary", key="again", on_click=again)
        st.download_button(
            "Answers as CSV", table(atlas, now, by_pixels), "answers.csv", "text/csv", key="answers", on_click="ignore"
        )
    st.html(f'<div class="groups">{"".join(row(atlas, now, mine, group) for group in mine.groups)}</div>')


def verdict(mine: Score, pixels: Score, told: bool = False) -> str:
    """What the score says, in two sentences. told: whether the groups were told in words."""
    if mine.low > 0.5:
        what = "these words describe the groups" if told else "these groups are concepts a person can learn"
        learned = f"that is more than luck (p = {mine.chance:.2g}): {what}"
    else:
        learned = f"that can well be luck (p = {mine.chance:.2g}): more trials, or other groups, would tell"
    than = "more than" if mine.right > pixels.right else "as many as" if mine.right == pixels.right else "fewer than"
    return (
        f"**You were right {mine.right} times of {mine.asked}**; {learned}. It is {than} a classifier that sees "
        f"only pixels ({pixels.right})."
    )


def row(atlas: Atlas, now: Round, mine: Score, group: int) -> str:
    """A group that was asked about: its name, some members, how often it was told apart."""
    members = next(trial for trial in now.dealt.trials if trial.group == group).references[:8]
    shown = "".join(picture(atlas, member, 40) for member in members)
    asked = sum(trial.group == group for trial in now.dealt.trials)
    right = round(mine.groups[group] * asked)
    words = f"<i>{escape(now.told.sentences[group])}</i>" if now.told else ""
    return f"<div><span>{escape(now.names[group])}</span><b>{right} of {asked}</b>{shown}{words}</div>"


def again() -> None:
    """Another deal."""
    st.session_state["deal"] = (int(st.session_state.get("deal", 0)) + 1) % 10_000


def table(atlas: Atlas, now: Round, by_pixels: Sequence[int]) -> str:
    """Every answer as CSV; pictures by their number in the set."""
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(["trial", "group", "examples", "left", "right", "member", "answer", "seconds", "pixels",
                   "sentence"])  # fmt: skip
    sides, number = ("left", "right"), atlas.positions.tolist()
    for i, (trial, given, seconds) in enumerate(zip(now.dealt.trials, now.given, now.seconds, strict=True)):
        examples = " ".join(str(number[one]) for one in trial.references)
        rows.writerow([i + 1, now.names[trial.group], examples, *(number[one] for one in trial.pair),
                       sides[trial.answer], sides[given], f"{seconds:.2f}", sides[by_pixels[i]],
                       now.told.sentences[trial.group] if now.told else ""])  # fmt: skip
    return file.getvalue()
