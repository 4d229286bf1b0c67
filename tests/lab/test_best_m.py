"""The best M by size against a worked grid, and a sweep kept in a file against itself."""

import pytest

from lab.parts.grid_search import said
from lab.runs.best_m import Best, best_m, merged
from lab.runs.cells import Cell
from lab.runs.kept import Kept


def cell(figure, **place):
    return Cell(place, (), ("done",), [figure] if figure is not None else [], 1.0, "")


def test_the_best_of_each_size_and_the_largest_m_that_is_nearly_as_good():
    found = [
        cell(0.70, n=0, m=0, width=8), cell(0.72, n=1, m=0, width=8), cell(0.60, n=1, m=20, width=8),
        cell(0.80, n=0, m=0, width=24), cell(0.815, n=1, m=0, width=24), cell(0.82, n=1, m=10, width=24),
        cell(0.812, n=2, m=20, width=24), cell(0.5, n=2, m=30, width=24), cell(None, n=2, m=10, width=24),
    ]  # fmt: skip
    rows = best_m(found, {"train_images": 1000, "width": 16})
    assert rows == [Best(8, 1000, 1, 0, 0.72, 0.70, 0), Best(24, 1000, 1, 10, 0.82, 0.80, 20)]
    assert merged([rows, rows, best_m(found[:3], {"train_images": 0})]) == [Best(8, 0, 1, 0, 0.72, 0.70, 0), *rows]
    assert "A wider network bears a larger M in 1 of 1 comparisons, a smaller one in 0." in said(rows)
    assert "bears a larger" not in said(rows[:1])


def test_where_lower_is_better_and_where_nothing_was_done():
    found = [cell(0.3, n=1, m=0), cell(0.2, n=1, m=30), cell(None, n=2, m=30)]
    assert best_m(found, {"width": 8, "train_images": 5}, higher=False) == [Best(8, 5, 1, 30, 0.2, None, 30)]
    assert best_m([cell(0.3, n=0, m=0)], {"width": 8, "train_images": 5}) == []


def test_a_kept_sweep_has_its_cells_in_the_grids_order():
    kept = Kept("two", {"n": [1, 2], "m": [0, 10]}, {"width": 8}, "test_accuracy", True, [[0.1], [0.2], [0.3], [0.4]])
    assert [(one.place, one.mean) for one in kept.cells] == [
        ({"n": 1, "m": 0}, 0.1), ({"n": 1, "m": 10}, 0.2), ({"n": 2, "m": 0}, 0.3), ({"n": 2, "m": 10}, 0.4),
    ]  # fmt: skip
    assert all(one.state == "done" for one in kept.cells)
    with pytest.raises(ValueError, match="zip"):
        _ = Kept("two", {"n": [1, 2]}, {}, "a", True, [[0.1]]).cells
