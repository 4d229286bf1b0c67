"""How long a training takes, from a few of its steps: the first of every loop, one that evaluates, and the last."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from engine.bench import Bench, Setup, find_device

PLAIN = 8
"""Steps after a loop's first that are timed."""


@dataclass
class Loop:
    """What was seen of one loop, in seconds. looks: its evaluations, the one of its last step among them.

    first: its first step, with all that was done since the loop before. plain: steps that only train.
    """

    steps: int
    looks: int
    first: float | None = None
    plain: list[float] = field(default_factory=list)
    look: list[float] = field(default_factory=list)
    last: float | None = None

    @property
    def step(self) -> float | None:
        """A step without evaluation: the median; the nearest to it that was seen when none was."""
        if self.plain:
            return statistics.median(self.plain)
        return min((each for each in (self.first, *self.look, self.last) if each is not None), default=None)

    @property
    def extra(self) -> float | None:
        """What an evaluation adds to a step."""
        return max(0.0, statistics.median(self.look) - (self.step or 0.0)) if self.look else None

    @property
    def seconds(self) -> float:
        """The whole loop: its first step, those between with their evaluations, and its last."""
        step, extra = self.step or 0.0, self.extra or 0.0
        if self.steps == 1:
            return self.first or step
        first = step if self.first is None else self.first
        last = step + extra if self.last is None else self.last
        return first + (self.steps - 2) * step + (self.looks - 1) * extra + last


class Estimate(NamedTuple):
    """Seconds: of the first step, a step, what an evaluation adds, and all steps. None where nothing was seen."""

    first: float | None
    step: float | None
    look: float | None
    whole: float | None


def estimate(loops: list[Loop], steps: int, *, tail: float = 0.0, underway: float = 0.0) -> Estimate:
    """Seconds of a training of `steps` steps. tail: after the last. underway: how long the step in progress has taken.

    A loop that was not come to is thought to go at the pace of the last one that was.
    """
    seen = [loop for loop in loops if loop.step is not None]
    if not seen:
        return Estimate(None, None, None, steps * underway or None)
    among = sum(loop.steps for loop in seen)
    pace = sum(loop.steps * (loop.step or 0.0) for loop in seen) / among
    looks = [loop.extra for loop in seen if loop.extra is not None]
    rest = max(0, steps - among) * (seen[-1].step or 0.0)
    whole = sum(loop.seconds for loop in seen) + rest + tail
    return Estimate(seen[0].first, pace, statistics.median(looks) if looks else None, whole)


class Sampling(Bench):
    """A bench whose loops go from their first steps over one that evaluates straight to their last.

    Of a run of several ranks it does what the first of them would: on its device, with its part of each batch.
    """

    def __init__(self, setup: Setup, patience: float):
        """patience: seconds after which a loop has had enough plain steps; one is done in any case."""
        device = find_device(setup.device, setup.ranks).type
        super().__init__(Setup.make(setup.model_dump() | {"device": device}))
        self._part = 0, setup.ranks
        self.patience = patience
        self.loops: list[Loop] = []
        self.tail = 0.0
        self.skipped = False
        """Whether steps were left out by now: what is trained is then worse than it would be."""
        self._marked = time.monotonic()

    def _order(self, start: int, steps: int) -> Iterator[int]:
        self.loops.append(Loop(steps, min(self.setup.looks, steps)))
        began, step = time.monotonic(), 0
        while step < min(steps - 1, PLAIN + 1) and (step < 2 or time.monotonic() - began < self.patience):
            yield step
            step += 1
        if step < steps - 1:
            self.look()
            yield step
            self.skipped = self.skipped or step < steps - 2
        yield steps - 1

    def begin(self) -> None:
        """The training begins now."""
        self._marked = self._now()

    def note(self) -> None:
        """A report has come: file the time since the one before."""
        now = self._now()
        took, self._marked = now - self._marked, now
        loop, at = self.loops[-1], self._at[1]
        if at == 1:
            loop.first = took
        elif at == loop.steps:
            loop.last = took
        else:
            (loop.look if self.due else loop.plain).append(took)

    def end(self) -> None:
        """The training has ended: file what it did after its last report."""
        self.tail = self._now() - self._marked

    @property
    def measured(self) -> int:
        """Steps that were timed."""
        return sum(
            len(loop.plain) + len(loop.look) + (loop.first is not None) + (loop.last is not None) for loop in self.loops
        )

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.monotonic()
