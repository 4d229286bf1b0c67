"""Descriptions: what is worth saying is said, in words that mean it, of one half of the pictures; and read as meant."""

import math

import numpy as np
import pytest

from engine.metrics.describer import (
    MEANINGS,
    NOTHING,
    Scale,
    describe,
    glossary,
    halves,
    holds,
    in_words,
    information,
    literals,
    margins,
    reader,
    scale_of,
)
from engine.metrics.forced_choice import Trial, answers, deal, score
from engine.ops.attributes import NAMES

INK, HEIGHT, SYMMETRY, PIECES, HOLES = (NAMES.index(name) for name in ("ink", "height", "symmetry", "pieces", "holes"))


def measured(count=400, seed=0):
    """Attributes (N, 8): normal, and pieces and holes that are counted."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(count, len(NAMES))).astype(np.float32)
    values[:, PIECES], values[:, HOLES] = draw.integers(1, 4, count), draw.integers(0, 4, count)
    return values


def one(*said):
    """A description of (attribute, sense, cut)."""
    return np.array([*said, *[(-1, -1, -1)] * (3 - len(said))])


def test_the_scale_cuts_at_fifths_and_between_what_is_counted():
    values = measured()
    scale = scale_of(values)
    for cut, share in enumerate((0.2, 0.4, 0.6, 0.8)):
        assert (values[:, HEIGHT] <= scale.cuts[HEIGHT, cut]).mean() == pytest.approx(share, abs=0.005)
    assert scale.cuts[PIECES].tolist() == [1.5, 2.5, 3.5, 4.5]
    assert scale.cuts[HOLES].tolist() == [0.5, 1.5, 2.5, 3.5]
    assert (scale_of(np.ones((5, len(NAMES)), np.float32)).spread == 1).all(), "nothing is divided by nothing"


def test_a_literal_holds_where_the_attribute_is_beyond_the_cut():
    values, every = measured(50), literals()
    scale = scale_of(values)
    found = margins(every, values, scale) >= 0
    for place, (attribute, sense, cut) in enumerate(every.tolist()):
        limit = scale.cuts[attribute, cut]
        expected = values[:, attribute] >= limit if sense > 0 else values[:, attribute] <= limit
        np.testing.assert_array_equal(found[:, place], expected)
    assert len(every) == len({tuple(row) for row in every.tolist()}) == len(NAMES) * 8


def test_the_information_is_that_of_a_table():
    """Mutual information of two coins by its definition, sum p(a, b) log p(a, b) / p(a) p(b)."""
    for p, q in ((0.9, 0.2), (1.0, 0.0), (0.3, 0.3), (0.0, 0.5)):
        joint = np.array([[p, 1 - p], [q, 1 - q]]) / 2
        apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
        slow = sum(x * math.log(x / y) for x, y in zip(joint.ravel(), apart.ravel(), strict=True) if x)
        assert information(np.array(p), np.array(q)) == pytest.approx(slow, abs=1e-9)
    assert information(np.array(1.0), np.array(0.0)) == pytest.approx(math.log(2))


def test_the_first_literal_is_the_best_of_all_and_each_next_the_best_that_is_left():
    values = measured()
    groups = ((values[:, HEIGHT] > 0.3) & (values[:, SYMMETRY] > -0.2)).astype(int)
    scale, every = scale_of(values), literals()
    (_, said) = describe(values, groups, 2, scale)
    member, together, known = groups == 1, np.ones(len(values), bool), 0.0
    for literal in said[said[:, 0] >= 0]:
        gains = []
        for other in every:
            both = together & holds(one(other), values, scale)
            p, q = both[member].mean(), both[~member].mean()
            gains.append(float(information(p, q)) if p > q else 0.0)
        assert every[int(np.argmax(gains))].tolist() == literal.tolist()
        assert max(gains) >= known + 0.01
        known, together = max(gains), together & holds(one(literal), values, scale)
    assert in_words(said, scale) == "tall, not lopsided"
    np.testing.assert_array_equal(describe(values, groups, 2, scale, most=1)[1][1:], -1)


def test_groups_by_lot_and_groups_without_members_have_nothing_to_say():
    values = measured(4000)
    lot = np.random.default_rng(1).integers(3, size=4000)
    scale = scale_of(values)
    said = describe(values, lot, 4, scale)
    assert [in_words(one, scale) for one in said] == [NOTHING] * 4
    assert not holds(said[0], values, scale).any()
    with pytest.raises(ValueError, match="most: expected 1 to 3 literals, got 4"):
        describe(values, lot, 4, scale, most=4)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([(HEIGHT, 1, 3)], "very tall"),
        ([(HEIGHT, 1, 2)], "tall"),
        ([(HEIGHT, 1, 1)], "not wide"),
        ([(HEIGHT, 1, 0)], "not very wide"),
        ([(HEIGHT, -1, 0)], "very wide"),
        ([(HEIGHT, -1, 1)], "wide"),
        ([(HEIGHT, -1, 2)], "not tall"),
        ([(HEIGHT, -1, 3)], "not very tall"),
        ([(HEIGHT, 1, 2), (HEIGHT, 1, 3)], "very tall"),
        ([(HEIGHT, 1, 1), (HEIGHT, -1, 2)], "not wide, not tall"),
        ([(HOLES, 1, 1), (HEIGHT, 1, 2), (SYMMETRY, 1, 2)], "tall, symmetric, with two holes or more"),
        ([(HOLES, 1, 0), (HOLES, -1, 1)], "with one hole"),
        ([(HOLES, 1, 0)], "with one hole or more"),
        ([(HOLES, -1, 0)], "with no holes"),
        ([(HOLES, -1, 1)], "with at most one hole"),
        ([(PIECES, -1, 0)], "in one piece"),
        ([(PIECES, 1, 0)], "in two pieces or more"),
        ([(PIECES, -1, 1)], "in at most two pieces"),
        ([(PIECES, 1, 0), (PIECES, -1, 1)], "in two pieces"),
        ([], NOTHING),
    ],
)
def test_words_say_what_literals_mean(said, words):
    assert in_words(one(*said), scale_of(measured())) == words


def test_a_glossary_explains_the_words_that_were_used():
    assert glossary(one((HEIGHT, 1, 2), (HOLES, 1, 0), (HEIGHT, -1, 3))) == (
        "wide to tall: height over width; holes: background that is shut in"
    )
    assert glossary(one()) == ""
    assert list(MEANINGS) == list(NAMES)


def test_the_reader_takes_what_more_literals_hold_of_then_what_they_hold_of_by_more():
    scale = Scale(np.tile(np.arange(4.0), (len(NAMES), 1)), np.ones(len(NAMES)))
    judge, said = reader(scale), one((INK, 1, 1), (HEIGHT, -1, 2))
    rows = np.zeros((4, len(NAMES)))
    rows[:, INK] = [5, 0.5, 1.5, 2]
    rows[:, HEIGHT] = [2.5, 1, 1, 1]  # of the first one literal holds, of the second one, of the others both
    assert judge(said, rows[0], rows[2]) == 1
    assert judge(said, rows[2], rows[0]) == 0
    assert judge(said, rows[2], rows[3]) == 1, "as many, but by more"
    assert judge(said, rows[3], rows[3]) == 0, "of equals the first"
    assert judge(one(), rows[0], rows[3]) == 0


def test_swapping_the_pair_flips_what_the_reader_says():
    values = measured()
    groups = (values[:, HEIGHT] > 0).astype(int)
    scale = scale_of(values)
    said = describe(values, groups, 2, scale)
    trials = deal(groups, 60).trials
    swapped = [Trial(one.group, one.references, one.pair[::-1], 1 - one.answer) for one in trials]
    judge = reader(scale)
    given = answers(trials, values, judge, said)
    assert answers(swapped, values, judge, said) == [1 - answer for answer in given]
    assert score(trials, given).share == 1, "all that makes these groups was said"


def test_a_judge_who_is_told_gets_the_sentence_and_no_number():
    values, groups = measured(40), np.repeat([3, 5], 20)
    said, heard = np.arange(6 * 9).reshape(6, 3, 3), []

    def judge(description, first, second):
        heard.append((description, first, second))
        return 0

    trials = deal(groups, 10, 5).trials
    answers(trials, values, judge, said)
    for trial, (description, first, second) in zip(trials, heard, strict=True):
        np.testing.assert_array_equal(description, said[trial.group])
        np.testing.assert_allclose(np.stack([first, second]), values[list(trial.pair)])


def test_half_is_half():
    fitted = halves(101, seed=3)
    assert (fitted.sum(), len(fitted)) == (50, 101)
    np.testing.assert_array_equal(fitted, halves(101, seed=3))
    assert (fitted != halves(101, seed=4)).any()
