"""From sweeps over RandAugment's N and M: which M is best for each size of the network and of the data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from lab.runs.cells import Cell

SIZES = ("width", "train_images")
NEARLY = 0.01
"""A difference below this is chance, in one run a cell: about one standard error of a share of 2 000 test pictures."""


class Best(NamedTuple):
    """The best N and M of one size; figure: theirs. without: that of N = 0, None where it was not tried. bears: the
    largest M with which, for some N, the figure is no more than NEARLY below the best."""

    width: int
    train_images: int
    n: int
    m: int
    figure: float
    without: float | None
    bears: int


def best_m(found: Sequence[Cell], values: Mapping[str, Any], higher: bool = True) -> list[Best]:
    """One row for each width and number of training pictures, in their order; values: what all cells share.

    Where N is 0 nothing is done and M is no magnitude: such cells are only what the others are compared with.
    """
    told = [({**values, **cell.place}, cell) for cell in found if cell.mean is not None]
    sizes = sorted({tuple(knobs[name] for name in SIZES) for knobs, _ in told})
    rows = []
    for size in sizes:
        here = [(knobs, cell) for knobs, cell in told if tuple(knobs[name] for name in SIZES) == size]
        without = [cell.mean for knobs, cell in here if knobs["n"] == 0]
        with_it = [(knobs, cell) for knobs, cell in here if knobs["n"] > 0]
        if not with_it:
            continue
        sign = 1 if higher else -1
        knobs, cell = max(with_it, key=lambda pair: sign * (pair[1].mean or 0.0))
        most = cell.mean or 0.0
        bears = max(each["m"] for each, one in with_it if sign * (most - (one.mean or 0.0)) <= NEARLY)
        width, pictures = size
        rows.append(Best(width, pictures, knobs["n"], knobs["m"], most, without[0] if without else None, bears))
    return rows


def merged(several: Iterable[Sequence[Best]]) -> list[Best]:
    """The rows of several sweeps, by size; of one size measured twice both stay, unless they are the same."""
    return sorted({row for rows in several for row in rows}, key=lambda row: row[:5])
