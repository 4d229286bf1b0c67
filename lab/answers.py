"""What two trained models say of the same test pictures: where they disagree, and whether one is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from engine.metrics.compare import Pairs, count_pairs

if TYPE_CHECKING:
    from engine.data.base import Dataset
    from lab.checkpoints import Opened
    from lab.looking import Looker

Kind = Literal["all", "only A right", "only B right", "both wrong, differently"]


@dataclass(frozen=True)
class Answers:
    """One model's labels (N,) for the pictures of `test`, and the true ones, -1 where nobody knows."""

    data: str
    test: Dataset
    said: np.ndarray
    truth: np.ndarray


@dataclass(frozen=True)
class Disagreement:
    """Two models' answers to the pictures whose label is known. places: (N,) positions in the test set."""

    test: Dataset
    places: np.ndarray
    a: np.ndarray
    b: np.ndarray
    truth: np.ndarray

    @property
    def pairs(self) -> Pairs:
        return count_pairs(self.a, self.b, self.truth)

    def rows(self, kind: Kind = "all") -> np.ndarray:
        """Rows of the pictures on which A and B disagree, in the order of the test set."""
        wanted = self.a != self.b
        if kind == "only A right":
            wanted = wanted & (self.a == self.truth)
        elif kind == "only B right":
            wanted = wanted & (self.b == self.truth)
        elif kind == "both wrong, differently":
            wanted = wanted & (self.a != self.truth) & (self.b != self.truth)
        return np.flatnonzero(wanted)


def ask(looker: Looker) -> Answers:
    """The model's answers to the whole test split. ValueError when it does not tell a class for each picture."""
    import torch

    from engine.bench import Bench
    from engine.data.subset import labels_of
    from engine.metrics.answers import answers

    opened = looker.opened
    with looker.lock, torch.random.fork_rng():
        bench = Bench(looker.setup)
        data = exam(opened)
        _try(looker, data)
        said = answers(looker.model, bench.chunks(data)).argmax(dim=1)
    truth = labels_of(data)
    return Answers(str(opened.params.data), data, said.cpu().numpy(), truth.numpy())  # type: ignore[attr-defined]


def exam(opened: Opened) -> Dataset:
    """The test pictures of what a model learned from, as it wants them. ValueError when it cannot be judged by them."""
    from engine.data import open_data

    name, classes = str(opened.params.data), opened.facts.classes  # type: ignore[attr-defined]
    if len(classes) < 2:
        raise ValueError(f"{opened.id} learned from {name} without classes, so it has no answers to compare")
    data = open_data(name, "test", opened.facts.size, opened.facts.channels)
    if data.facts.classes != classes:
        raise ValueError(f"the test pictures of {name} show other classes than {opened.id} learned, so that its "
                         "answers cannot be judged")  # fmt: skip
    return data


def _try(looker: Looker, data: Dataset) -> None:
    """Ask about two pictures. ValueError when the answer is no row of logits each."""
    import torch

    from engine.metrics.answers import classifies

    classes = len(looker.opened.facts.classes)
    device = next(looker.model.parameters()).device
    images = data.batch(torch.arange(min(2, len(data)))).to(device).images
    if not classifies(looker.model, images, classes):
        raise ValueError(f"{looker.opened.id} does not answer a picture with one of its {classes} classes; choose runs "
                         "of methods that classify")  # fmt: skip


def disagreement(a: Answers, b: Answers) -> Disagreement:
    """The answers side by side. ValueError when they are not to the same question."""
    if a.data != b.data:
        raise ValueError(f"A learned from {a.data} and B from {b.data}: answers to different pictures cannot be paired")
    if a.test.facts.classes != b.test.facts.classes or not np.array_equal(a.truth, b.truth):
        raise ValueError(f"the test pictures of {a.data} or their classes were others when B was asked; open both "
                         "again")  # fmt: skip
    known = np.flatnonzero(a.truth >= 0)
    if not len(known):
        raise ValueError(f"the test pictures of {a.data} have no labels, so that nobody can say who is right")
    return Disagreement(a.test, known, a.said[known], b.said[known], a.truth[known])
