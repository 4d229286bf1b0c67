"""Plots that go to the browser as numbers say what their values are, and leave to the converter what they cannot."""

import json

import numpy as np
import pytest

from engine.method import Bars, Curves, Matrix
from lab import light_plots
from lab.figures import draw, portable


def test_a_heat_map_has_a_shade_and_a_number_for_each_cell():
    values = {"m": np.array([[0.0, 0.5, 1.0], [1.0, 0.25, 0.0]]), "rows": ["a", "b"], "columns": ["x", "y", "z"]}
    told = light_plots.heat("m", values, ["m"])["heat"]
    assert (told["rows"], told["columns"]) == (["a", "b"], ["x", "y", "z"])
    assert told["cells"] == [["0.00", "0.50", "1.00"], ["1.00", "0.25", "0.00"]]
    assert told["fills"][0][0] == told["fills"][1][2] != told["fills"][0][2]
    assert light_plots.heat("m", {"m": np.eye(2)}, ["m"])["heat"]["cells"] == [["1", "0"], ["0", "1"]], "whole numbers"
    assert light_plots.heat("m", {"m": np.zeros((21, 20))}, ["m"]) is None
    (whole,) = portable([Matrix(("m",), "")], values)
    json.dumps(whole)
    assert "heat" in whole["figures"][0]


def test_bars_are_as_long_as_their_values_and_negative_ones_are_left_to_the_converter():
    values = {"one": np.array([0.5, 0.00001]), "two": np.array([1.0, 2.0]), "name": ["a", "b"]}
    told = light_plots.bars(("one", "two", "name"), values)["bars"]
    assert told["labels"] == ["a", "b"]
    assert told["most"] == 2
    assert [one["values"] for one in told["series"]] == [[0.5, 0.00001], [1.0, 2.0]]
    assert told["series"][0]["said"] == ["0.5", "< 0.001"]
    (left,) = portable([Bars(("one",), "")], {"one": np.array([-1.0, 2.0])})
    assert "svg" in left["figures"][0]
    (nan,) = portable([Bars(("one",), "")], {"one": np.array([np.nan, 2.0])})
    assert "svg" in nan["figures"][0]


def test_many_curves_stand_apart_on_one_scale_each_with_its_note():
    names = tuple(f"change/{i}" for i in range(10))
    values = {name: np.array([[0.0, 0.0], [30.0, i]]) for i, name in enumerate(names)} | {"change/3 says": ["WRONG"]}
    told = light_plots.small_curves(names, values, "M")["curves"]
    assert (told["low"], told["high"]) == ([0, 0], [30, 9])
    assert [one["name"] for one in told["each"]] == list("0123456789")
    assert [one["warns"] for one in told["each"]] == [i == 3 for i in range(10)]
    (few,) = portable([Curves(names[:2], "")], values)
    assert "svg" in few["figures"][0]


def test_matrices_beside_one_another_are_on_one_scale():
    values = {"one": np.array([[0.0, 1.0]]), "two": np.array([[1.0, 4.0]])}
    (both,) = portable([Matrix(("one", "two"), "")], values)
    one, two = (figure["heat"]["fills"][0] for figure in both["figures"])
    assert one[1] == two[0], "a colour means the same in both"
    assert len({*one, *two}) == 3
    shades = [
        plot.spec["layer"][0]["encoding"]["color"]["scale"]["domain"]
        for plot in draw(Matrix(("one", "two"), ""), values)
    ]
    assert shades == [[0, 4], [0, 4]]


@pytest.mark.parametrize(
    ("value", "says"), [(2000.0, "2,000"), (1234567.0, "1,234,567"), (999.4, "999"), (0.1234, "0.123"), (0.0, "0")]
)
def test_a_number_beside_its_bar_is_written_out(value, says):
    assert light_plots.short(value) == says
