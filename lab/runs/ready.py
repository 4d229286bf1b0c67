"""Before a sweep: those that are ready to start, how long one takes, and the command that starts it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from statistics import fmean
from typing import TYPE_CHECKING

from engine import catalog, receipts
from engine.flags import command
from lab.runs.grid import Grid, as_words
from lab.runs.line import gpus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.bench import Setup
    from engine.method import Method, Sweep
    from engine.params import Params, Preset


def ready_sweeps() -> Iterator[tuple[str, Sweep]]:
    """(id of the method, sweep) of those that methods declare. Imports them all."""
    for id in catalog.ids():
        with suppress(ImportError, AttributeError, SyntaxError):  # its own page tells what is wrong with it
            yield from ((id, sweep) for sweep in catalog.method(id).sweeps)


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
