"""Sweeps that are ready to start, because a paper or a lecture asks for just them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

from engine import receipts
from engine.flags import command
from lab.runs.grid import Grid, as_words
from lab.runs.line import gpus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.bench import Setup
    from engine.method import Method
    from engine.params import Params, Preset


@dataclass(frozen=True)
class Ready:
    """A grid worth trying, and the question that it answers. values: knobs that differ from the demo in all cells."""

    name: str
    asks: str
    grid: Grid
    values: Mapping[str, Any] = field(default_factory=dict)


READY: Mapping[str, tuple[Ready, ...]] = {
    "augmentation.randaugment": (
        Ready(
            "N × M by size",
            "Does the best strength grow with the network and with the data, as the paper finds?",
            {"n": (1, 2, 3), "m": (3, 9, 15), "width": (8, 24), "train_images": (500, 4000)},
        ),
        Ready("N × M", "Which strength suits the demo?", {"n": (0, 1, 2, 3), "m": (3, 9, 15, 21)}),
    ),
}
"""By method."""


def seconds(id: str, method: Method, layout: Sequence[Params]) -> float | None:
    """About how long runs with these params take, one on each device at a time, at the speed of the demo's receipt.

    None when the method was never measured.
    """
    receipt = receipts.read(id)
    if receipt is None:
        return None
    demo = fmean(outcome.wall for outcome in next(iter(receipt.arms.values())))
    steps = sum(method.steps(params) for params in layout) / method.steps(method.params.make({}))
    return demo * steps / max(1, len(gpus()))


def sweep_command(
    id: str, params: Params, setup: Setup, grid: Grid, preset: Preset = "demo", *, seeds: int = 1, figure: str = ""
) -> str:
    """The command line that starts this sweep. figure: "" for the claim's."""
    usual = type(params).make({}, preset)
    fixed = type(params).make({**params.model_dump(), **{name: getattr(usual, name) for name in grid}})
    words = [*shlex.split(command(id, fixed, setup, preset)), "--grid", *as_words(grid)]
    words[1] = "sweep"
    words += ["--seeds", str(seeds)] if seeds > 1 else []
    words += ["--figure", figure] if figure else []
    return shlex.join(words)
