"""Attributes against slow definitions, scipy's labels, and pictures that one can count on one's fingers."""

import numpy as np
import pytest
from scipy import ndimage

from engine.data.garments import load
from engine.ops import attributes as measured
from engine.ops.attributes import NAMES, attributes, bounds, components, holes, ink, symmetry, upper_share

CORNERS, SIDES = np.ones((3, 3)), ndimage.generate_binary_structure(2, 1)


def drawn(*pictures):
    """Pictures of # on dots as (N, 1, H, W) in [0, 1]."""
    return np.array([[[[float(c == "#") for c in row] for row in one.split()]] for one in pictures], np.float32)


RING = "......... .#######. .#.....#. .#.....#. .#.....#. .#.....#. .#.....#. .#######. ........."
EIGHT = "......... ..#####.. ..#...#.. ..#...#.. ..#####.. ..#...#.. ..#...#.. ..#####.. ........."
CHECKED = "......... .#.#.#.#. ..#.#.#.. .#.#.#.#. ..#.#.#.. ......... ......... ......... ........."
TWO = "......... .##...##. .##...##. .##...##. .##...##. .##...##. .##...##. .##...##. ........."


@pytest.fixture(scope="module")
def random():
    """(60, 13, 17) bool, of all densities."""
    draw = np.random.default_rng(0)
    return draw.random((60, 13, 17)) < draw.uniform(0.1, 0.95, (60, 1, 1))


@pytest.mark.parametrize("least", [1, 3])
def test_pieces_are_those_that_scipy_labels(random, least):
    for there, count in zip(random, components(random, least), strict=True):
        labels, found = ndimage.label(there, CORNERS)
        assert count == sum((labels == i + 1).sum() >= least for i in range(found))


@pytest.mark.parametrize("least", [1, 3])
def test_holes_are_the_pieces_of_background_that_scipy_finds_shut_in(random, least):
    for there, count in zip(random, holes(random, least), strict=True):
        labels, found = ndimage.label(~there, SIDES)
        edge = set(labels[[0, -1]].ravel()) | set(labels[:, [0, -1]].ravel())
        assert count == sum((labels == i).sum() >= least for i in range(1, found + 1) if i not in edge)
    some = random & (np.arange(60) % 2 == 0)[:, None, None]
    np.testing.assert_array_equal(holes(some)[1::2], 0)
    np.testing.assert_array_equal(holes(np.ones((2, 5, 5), bool)), 0)


def test_what_one_counts_on_ones_fingers():
    images = drawn(RING, EIGHT, CHECKED, TWO)
    there = images[:, 0] > 0
    assert components(there).tolist() == [1, 1, 1, 2], "corners that touch join"
    assert holes(there).tolist() == [1, 2, 5, 0], "but background joins at sides only"
    columns = dict(zip(NAMES, attributes(images).T, strict=True))
    assert columns["pieces"].tolist() == [1, 1, 1, 2]
    np.testing.assert_allclose(columns["height"], [1, 7 / 5, 4 / 7, 1], rtol=1e-6)
    np.testing.assert_allclose(columns["ink"], [24 / 81, 23 / 81, 14 / 81, 28 / 81], rtol=1e-6)
    np.testing.assert_allclose(columns["filling"], [24 / 49, 23 / 35, 14 / 28, 28 / 49], rtol=1e-6)
    np.testing.assert_allclose(columns["symmetry"], 1, atol=1e-6)
    np.testing.assert_allclose(columns["top"][[0, 1, 3]], 0.5, atol=1e-6)


def test_the_box_is_that_of_scipy(random):
    for there, box in zip(random, bounds(random), strict=True):
        rows, columns = ndimage.find_objects(there.astype(int))[0]
        assert box.tolist() == [rows.start, rows.stop, columns.start, columns.stop]
    assert bounds(np.zeros((1, 4, 4), bool)).tolist() == [[0, 0, 0, 0]]


def test_symmetry_and_the_upper_share_are_what_they_say(random):
    strong = random * np.random.default_rng(1).random(random.shape).astype(np.float32)
    boxes = bounds(random)
    for there, box, even, top in zip(strong, boxes, symmetry(strong, boxes), upper_share(strong, boxes), strict=True):
        apart = whole = above = 0.0
        first, last, left, right = box.tolist()
        for y in range(there.shape[0]):
            for x in range(there.shape[1]):
                other = left + right - 1 - x
                mirrored = float(there[y, other]) if 0 <= other < there.shape[1] else 0.0
                apart += abs(float(there[y, x]) - mirrored)
                whole += float(there[y, x]) + mirrored
                above += float(there[y, x]) * min(1.0, max(0.0, (first + last) / 2 - y))
        assert even == pytest.approx(1 - apart / whole, abs=1e-5)
        assert top == pytest.approx(above / there.sum(), abs=1e-5)


def test_edges_are_the_mean_change_over_the_mean_ink():
    image = np.zeros((1, 1, 4, 4), np.float32)
    image[0, 0, 1, 2] = 0.5
    down, across = 2 * 0.5 / 12, 2 * 0.5 / 12  # of 3 x 4 pairs either way, two differ
    assert attributes(image)[0, NAMES.index("edges")] == pytest.approx((down + across) / (0.5 / 16))


def test_black_on_white_is_measured_like_white_on_black_and_colours_as_grey():
    images = load("", "test", None, None).rows.images[:40].numpy()
    on_black, on_white = attributes(images), attributes(255 - images)
    np.testing.assert_allclose(on_white, on_black, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(attributes(images.repeat(3, axis=1) / np.float32(255)), on_black, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(ink(images).max(), 1, atol=1e-6)


def test_a_mirrored_picture_differs_in_nothing_and_one_upside_down_at_the_top():
    images = load("", "test", None, None).rows.images[:200].numpy()
    one, mirrored, turned = (attributes(x) for x in (images, images[..., ::-1], images[:, :, ::-1]))
    np.testing.assert_allclose(mirrored, one, rtol=1e-3, atol=1e-3)
    top = NAMES.index("top")
    np.testing.assert_allclose(np.delete(turned, top, 1), np.delete(one, top, 1), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(turned[:, top], 1 - one[:, top], atol=1e-4)


def test_portions_do_not_show_and_an_empty_picture_has_something_to_say(monkeypatch):
    images = load("", "test", None, None).rows.images[:30].numpy()
    whole = attributes(images)
    monkeypatch.setattr(measured, "ROOM", 7 * 28 * 28)
    np.testing.assert_array_equal(attributes(images), whole)
    empty = dict(zip(NAMES, attributes(np.full((1, 3, 8, 8), 0.4, np.float32))[0].tolist(), strict=True))
    assert empty == {
        "ink": 0,
        "height": 1,
        "symmetry": 1,
        "pieces": 0,
        "holes": 0,
        "top": 0.5,
        "edges": 0,
        "filling": 0,
    }


@pytest.mark.parametrize("shape", [(3, 8, 8), (0, 1, 8, 8), (2, 1, 1, 8)])
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(ValueError, match=r"images: expected \(N, C, H, W\)"):
        attributes(np.zeros(shape, np.float32))
