"""Points in a polygon against matplotlib and against the loop of the definition."""

import numpy as np
import pytest
from matplotlib.path import Path

from engine.ops.polygon import inside


def slow(point, polygon):
    """The definition: count the sides that a ray to the right crosses."""
    x, y = point
    count = 0
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if min(y1, y2) <= y < max(y1, y2) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            count += 1
    return count % 2 == 1


def test_a_star_that_crosses_itself_is_that_of_the_loop():
    rng = np.random.default_rng(0)
    angles = np.arange(5) * 4 * np.pi / 5
    star = np.stack((np.cos(angles), np.sin(angles)), axis=1)
    points = rng.uniform(-1.2, 1.2, (2000, 2))
    found = inside(points, star)
    assert found.tolist() == [slow(point, star.tolist()) for point in points.tolist()]
    assert not inside(np.zeros((1, 2)), star)[0]  # its middle is surrounded twice
    for way in (star[::-1], np.roll(star, 2, axis=0)):
        assert (inside(points, way) == found).all()


def test_a_lasso_holds_what_matplotlib_says():
    rng = np.random.default_rng(1)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 120))
    lasso = (rng.uniform(0.5, 1, 120) * np.array([np.cos(angles), np.sin(angles)])).T
    points = rng.normal(0, 0.7, (20_000, 2))
    assert (inside(points, lasso) == Path(lasso, closed=False).contains_points(points)).all()


def test_squares_side_by_side_share_no_point_and_miss_none():
    grid = np.stack(np.meshgrid(np.arange(5), np.arange(5)), axis=-1).reshape(-1, 2).astype(float)
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], float)
    counts = sum(inside(grid, square + np.array([x, y])).astype(int) for x in (0, 2) for y in (0, 2))
    assert (counts == ((grid < 4).all(axis=1))).all()


def test_points_that_are_nowhere_and_polygons_that_cannot_be():
    triangle = np.array([[0, 0], [2, 0], [0, 2]], float)
    assert inside(np.array([[0.5, 0.5], [np.nan, 0.5], [np.inf, 0.5]]), triangle).tolist() == [True, False, False]
    assert inside(np.empty((0, 2)), triangle).shape == (0,)
    assert not inside(np.ones((3, 2)), np.ones((4, 2))).any()
    with pytest.raises(ValueError, match=r"points: expected \(N, 2\)"):
        inside(np.ones(3), triangle)
    with pytest.raises(ValueError, match=r"polygon: expected \(V, 2\) with 3 to 10000 corners"):
        inside(np.ones((3, 2)), triangle[:2])
    with pytest.raises(ValueError, match="polygon: expected finite corners"):
        inside(np.ones((3, 2)), triangle * np.nan)
