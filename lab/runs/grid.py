"""Grids: which values of which knobs a sweep tries, as a person writes them and as a list of cells.

knob=1,2,3           these values; for knobs of several words join the words of one value with "+"
knob=3:30:3          from 3 to 30 in steps of 3, both ends included; knob=3:6 goes in steps of 1
knob=1e-4..1e-2x3    three values from 1e-4 to 1e-2 in even factors
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import product
from typing import Any

from engine.params import Knob

Grid = Mapping[str, Sequence[Any]]
"""knob -> the values that are tried, in order."""

MOST = 200
"""Runs of one sweep: each waits in the line with a process of its own."""
SWITCH = {word: value for value, words in ((True, ("true", "yes", "on", "1")), (False, ("false", "no", "off", "0")))
          for word in words}  # fmt: skip
FACTORS = re.compile(r"(.+)\.\.(.+)x(\d+)")


def parse_grid(words: Iterable[str], knobs: Iterable[Knob]) -> dict[str, tuple[Any, ...]]:
    """What "knob=values" words mean. ValueError names all that cannot be."""
    known = {knob.name: knob for knob in knobs}
    grid: dict[str, tuple[Any, ...]] = {}
    problems = []
    for word in words:
        name, equals, text = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            problems.append(f"{word!r} is no part of a grid; write knob=value,value")
        elif name not in known:
            problems.append(f"{name}: there is no such knob; there are {', '.join(known)}")
        elif name in grid:
            problems.append(f"{name}: it is given twice; write all its values after one =")
        else:
            try:
                grid[name] = values_of(text, known[name])
            except ValueError as error:
                problems.append(f"{name}: {error}")
    if problems:
        raise ValueError("; ".join(problems))
    return grid


def values_of(text: str, knob: Knob) -> tuple[Any, ...]:
    """The values that one knob's text means, of the knob's type. ValueError: what is wrong, and what to write."""
    found = [value for word in text.split(",") if word.strip() for value in _values(word.strip(), knob)]
    if not found:
        raise ValueError("no values are given; write them with commas between")
    for i, value in enumerate(found):
        if value in found[:i]:
            raise ValueError(f"{as_word(value)} is there twice")
    return tuple(found)


def _values(word: str, knob: Knob) -> list[Any]:
    if knob.kind == "bool":
        if word.lower() not in SWITCH:
            raise ValueError(f"{word!r} is neither true nor false")
        return [SWITCH[word.lower()]]
    if knob.kind == "choices":
        return [tuple(word.split("+"))]
    if knob.kind not in ("int", "float"):
        return [word]
    numbers = _numbers(word)
    if knob.kind == "float":
        return [float(number) for number in numbers]
    if ".." in word:
        numbers = [number.to_integral_value() for number in numbers]
    if uneven := next((number for number in numbers if number != number.to_integral_value()), None):
        raise ValueError(f"{uneven} is no whole number")
    return [int(number) for number in numbers]


def _numbers(word: str) -> list[Decimal]:
    """One number, or those of a range; in decimal, so that 0:1:0.1 holds 0.3 and ends with 1."""
    if factors := FACTORS.fullmatch(word):
        low, high, count = _number(factors[1]), _number(factors[2]), int(factors[3])
        if low <= 0 or high <= 0 or low == high or not 2 <= count <= MOST:
            raise ValueError(
                f"{word!r} cannot be: even factors need two different ends above 0 and 2 to {MOST} values; "
                "write 1e-4..1e-2x3"
            )
        factor = float(high / low) ** (1 / (count - 1))
        between = [Decimal(f"{float(low) * factor**i:.4g}") for i in range(1, count - 1)]
        return [low, *between, high]
    if ":" in word:
        ends = [_number(part) for part in word.split(":")]
        low, high, step = [*ends, Decimal(1)][:3]
        if len(ends) > 3 or step <= 0 or high < low:
            raise ValueError(f"{word!r} cannot be: a range is from:to:step, upwards; write 3:30:3")
        if (high - low) / step >= MOST:
            raise ValueError(f"{word!r} holds more than {MOST} values; take a larger step")
        return [low + i * step for i in range(int((high - low) / step) + 1)]
    return [_number(word)]


def _number(word: str) -> Decimal:
    try:
        number = Decimal(word.strip())
    except InvalidOperation:
        how = "; even factors are written 1e-4..1e-2x3" if ".." in word else ""
        raise ValueError(f"{word!r} is no number{how}") from None
    if not number.is_finite():
        raise ValueError(f"{word!r} is no number to train with")
    return number


def as_word(value: Any) -> str:
    """A value as one writes it in a grid."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e6 else f"{value!r}"
    if isinstance(value, (tuple, list)):
        return "+".join(value)
    return str(value)


def as_words(grid: Grid) -> list[str]:
    """A grid as one writes it, without ranges; `parse_grid` gives it back."""
    return [f"{name}={','.join(as_word(value) for value in values)}" for name, values in grid.items()]


def cells(grid: Grid) -> list[dict[str, Any]]:
    """All combinations; the last knob changes fastest."""
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def suggested(knob: Knob) -> tuple[Any, ...]:
    """A few values worth trying: both or all words; else about a factor of two or three below and above the default.

    The paper's value is among them where it is another number.
    """
    if knob.kind == "bool":
        return (False, True)
    if knob.kind == "choice":
        return knob.choices
    if knob.kind not in ("int", "float"):
        return (knob.default,)
    whole, middle = knob.kind == "int", knob.default
    if middle == 0:
        top = knob.high if knob.high is not None else 1.0
        near = [0, 1, 2] if whole else [0, top / 10, top / 4]
    elif whole and abs(middle) < 4:
        near = [middle - 1, middle, middle + 1]
    else:
        factor = 3 if knob.log and not whole else 2
        near = [middle / factor, middle, middle * factor]
    low, high = (-math.inf if knob.low is None else knob.low), (math.inf if knob.high is None else knob.high)
    rounded = {round(value) if whole else value if value == middle else float(f"{value:.1g}") for value in near}
    rounded |= {knob.paper} if isinstance(knob.paper, (int, float)) else set()
    return tuple(sorted(value for value in rounded if low <= value <= high))
