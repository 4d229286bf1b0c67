"""Grids as people write them: what they mean, that they can be written back, and what is refused."""

import itertools
import math
import random
import re
from typing import Literal

import pytest

from engine import catalog
from engine.catalog import method
from engine.params import Params, knob
from lab.runs.grid import MOST, as_word, as_words, cells, parse_grid, suggested, values_of
from lab.runs.sweep import lay_out


class Knobs(Params):
    data: str = knob("garments", "data")
    n: int = knob(2, "whole", 0, 8)
    wide: int = knob(64, "whole", 1, 512, paper=300)
    lr: float = knob(1e-3, "factor", 1e-6, 10.0, log=True, paper=0.1)
    drop: float = knob(0.0, "share", 0.0, 0.9)
    flag: bool = knob(False, "switch")
    way: Literal["one", "two", "three"] = knob("one", "choice")
    both: tuple[Literal["a", "b"], ...] = knob(("a",), "choices")


WAYS = ("one", "two", "three")
KNOBS = {knob.name: knob for knob in Knobs.knobs()}


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("n", "1,2,3", (1, 2, 3)),
        ("n", " 3 , 1 ", (3, 1)),
        ("n", "3:30:3", (3, 6, 9, 12, 15, 18, 21, 24, 27, 30)),
        ("n", "3:10:3", (3, 6, 9)),
        ("n", "2:4", (2, 3, 4)),
        ("n", "5:5", (5,)),
        ("n", "0,2:4,8", (0, 2, 3, 4, 8)),
        ("n", "1e1", (10,)),
        ("wide", "16..256x5", (16, 32, 64, 128, 256)),
        ("drop", "0:1:0.1", tuple(i / 10 for i in range(11))),
        ("lr", "1e-4..1e-2x3", (1e-4, 1e-3, 1e-2)),
        ("lr", "1e-2..1e-4x3", (1e-2, 1e-3, 1e-4)),
        ("lr", "0.5", (0.5,)),
        ("flag", "true,no", (True, False)),
        ("way", "three,one", ("three", "one")),
        ("both", "a,a+b", (("a",), ("a", "b"))),
        ("data", "glyphs,folder:/a/b..c", ("glyphs", "folder:/a/b..c")),
    ],
)
def test_what_is_written_is_meant(name, text, values):
    found = values_of(text, KNOBS[name])
    assert found == pytest.approx(values) if name in ("lr", "drop") else found == values
    assert [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("n", "", "no values are given"),
        ("n", ",", "no values are given"),
        ("n", "1,1", "1 is there twice"),
        ("n", "1:3,2", "2 is there twice"),
        ("lr", "0.1,1e-1", "0.1 is there twice"),
        ("n", "1.5", "1.5 is no whole number"),
        ("n", "0:2:0.5", "0.5 is no whole number"),
        ("n", "two", "'two' is no number"),
        ("lr", "nan", "'nan' is no number to train with"),
        ("lr", "inf", "'inf' is no number to train with"),
        ("lr", "1e-4..1e-2", "even factors are written 1e-4..1e-2x3"),
        ("lr", "0..1x3", "two different ends above 0"),
        ("lr", "1..1x3", "two different ends above 0"),
        ("lr", "1..2x1", "2 to 200 values"),
        ("n", "3:1", "upwards"),
        ("n", "1:3:0", "upwards"),
        ("n", "1:2:3:4", "upwards"),
        ("n", "0:1e12", f"more than {MOST} values"),
        ("flag", "maybe", "neither true nor false"),
    ],
)
def test_what_cannot_be_is_said(name, text, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        values_of(text, KNOBS[name])


def test_all_problems_of_a_grid_are_named_at_once():
    sentence = (
        f"m: there is no such knob; there are {', '.join(KNOBS)}; 'lr' is no part of a grid; write knob=value,value; "
        "n: it is given twice; write all its values after one =; flag: '?' is neither true nor false"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        parse_grid(["n=1", "m=2", "lr", "n=3", "flag=?"], Knobs.knobs())


def test_a_grid_that_is_written_back_means_the_same():
    chance = random.Random(0)
    for _ in range(300):
        grid = {}
        for name in chance.sample(["n", "lr", "drop", "flag", "way", "both"], chance.randint(1, 4)):
            pool = {
                "n": lambda: chance.randint(-9, 10**6), "lr": lambda: 10 ** chance.uniform(-9, 9),
                "drop": lambda: chance.random(), "flag": lambda: chance.random() < 0.5,
                "way": lambda: chance.choice(WAYS), "both": lambda: chance.choice([("a",), ("a", "b")]),
            }[name]  # fmt: skip
            grid[name] = tuple(dict.fromkeys(pool() for _ in range(chance.randint(1, 5))))
        assert parse_grid(as_words(grid), Knobs.knobs()) == grid


def test_cells_are_all_combinations_once_with_the_last_knob_fastest():
    grid = {"n": (1, 2), "lr": (0.1, 0.2, 0.3), "flag": (False, True)}
    found = cells(grid)
    slow = [{"n": n, "lr": lr, "flag": flag} for n in grid["n"] for lr in grid["lr"] for flag in grid["flag"]]
    assert found == slow
    assert len({tuple(cell.items()) for cell in found}) == math.prod(map(len, grid.values()))


@pytest.mark.parametrize("name", KNOBS)
def test_suggestions_are_allowed_different_and_hold_the_default(name):
    knob = KNOBS[name]
    values = suggested(knob)
    assert knob.default in values
    assert len(set(values)) == len(values)
    for value in values:
        Knobs.make({name: value})
    assert len(values) > 1 or name in ("data", "both")
    if isinstance(knob.paper, (int, float)):
        assert knob.paper in values
    assert values_of(",".join(map(as_word, values)), knob) == values


@pytest.mark.parametrize("id", catalog.ids())
def test_ready_made_sweeps_can_be_started(id):
    found = method(id)
    for sweep in found.sweeps:
        assert 1 <= len(sweep.grid) <= 4
        assert lay_out(found.params.make(sweep.values), sweep.grid)
        assert sweep.asks.endswith("?")


def test_even_factors_are_even():
    for low, high, count in itertools.product((1e-5, 0.3), (1.0, 700.0), (2, 5, 9)):
        values = values_of(f"{low}..{high}x{count}", KNOBS["lr"])
        factors = [b / a for a, b in itertools.pairwise(values)]
        assert (values[0], values[-1], len(values)) == (low, high, count)
        assert max(factors) / min(factors) == pytest.approx(1, rel=1e-3)
