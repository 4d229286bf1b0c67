"""Forced choice: the deal keeps its promises, the score is Wilson's, and judges who know are right, who guess half."""

import math

import numpy as np
import pytest

from engine.metrics.forced_choice import Trial, answers, deal, interval, nearest_mean, score


def blobs(count=300, groups=5, width=6, apart=8.0, seed=0):
    """Features (N, D) about one centre a group, and the groups (N,)."""
    draw = np.random.default_rng(seed)
    group = draw.integers(groups, size=count)
    return draw.normal(size=(count, width)) + apart * draw.normal(size=(groups, width))[group], group


def test_members_are_shown_and_one_of_each_pair_is_a_member():
    _, groups = blobs()
    dealt = deal(groups, 40, references=7)
    assert len(dealt.trials) == 40
    assert dealt.skipped == ()
    for trial in dealt.trials:
        member, stranger = trial.pair[trial.answer], trial.pair[1 - trial.answer]
        assert {groups[row] for row in (*trial.references, member)} == {trial.group}
        assert groups[stranger] != trial.group
        assert len({*trial.references, member}) == 8, "the member that is asked about was not shown before"
    asked = [sum(trial.group == group for trial in dealt.trials) for group in range(5)]
    assert asked == [8] * 5, "all groups in turns"
    assert len({trial.references for trial in dealt.trials}) == 40, "every trial has its own examples"
    assert 8 < sum(trial.answer for trial in dealt.trials) < 32, "the member stands on either side"


def test_the_same_seed_deals_the_same_and_another_otherwise():
    _, groups = blobs()
    assert deal(groups, 20, seed=3) == deal(groups, 20, seed=3) != deal(groups, 20, seed=4)


def test_small_groups_are_told_and_never_asked_about():
    groups = np.array([0] * 30 + [1] * 30 + [2] * 5 + [-1] * 20)
    dealt = deal(groups, 12, references=5)
    assert dealt.skipped == (2,)
    assert {trial.group for trial in dealt.trials} == {0, 1}
    rows = {row for trial in dealt.trials for row in (*trial.references, *trial.pair)}
    assert all(groups[row] >= 0 for row in rows)


def test_hard_strangers_are_of_the_nearest_other_group():
    groups = np.repeat(np.arange(4), 20)
    centres = np.array([[0.0], [1.0], [10.0], [12.0]])
    nearest = {0: 1, 1: 0, 2: 3, 3: 2}
    for trial in deal(groups, 24, 5, centres=centres).trials:
        assert groups[trial.pair[1 - trial.answer]] == nearest[trial.group]


def test_a_stranger_is_never_the_picture_of_a_member_that_is_shown():
    groups, copies = np.repeat([0, 1], 20), np.tile(np.arange(20), 2)  # each picture is in both groups
    for trial in deal(groups, 60, 10, copies=copies).trials:
        stranger, member = trial.pair[1 - trial.answer], trial.pair[trial.answer]
        assert copies[stranger] not in copies[[*trial.references, member]]


@pytest.mark.parametrize(
    ("groups", "more", "says"),
    [
        (np.zeros(50, int), {}, "it takes two groups"),
        (np.repeat(np.arange(10), 5), {}, "one of 11 members"),
        (np.full(9, -1), {}, "none of 0 can be asked about"),
        (np.repeat([0, 1], 20), {"trials": 0}, "expected 1 or more, got 0 and 10"),
    ],
)
def test_what_cannot_be_dealt_is_said(groups, more, says):
    with pytest.raises(ValueError, match=says):
        deal(groups, **{"trials": 5} | more)


def test_who_knows_the_classes_is_always_right_and_who_guesses_half_the_time():
    features, groups = blobs(apart=12)
    one_hot = np.eye(5)[groups]
    dealt = deal(groups, 200)
    assert score(dealt.trials, answers(dealt.trials, one_hot)).share == 1
    assert score(dealt.trials, answers(dealt.trials, features)).share > 0.97
    random = np.random.default_rng(1).integers(5, size=300)  # groups that mean nothing
    blind = deal(random, 400)
    found = score(blind.trials, answers(blind.trials, features))
    assert found.low < 0.5 < found.high
    assert found.chance > 0.01


def test_swapping_the_pair_flips_the_answer():
    features, groups = blobs(apart=2)
    trials = deal(groups, 50).trials
    swapped = [Trial(one.group, one.references, one.pair[::-1], 1 - one.answer) for one in trials]
    assert answers(swapped, features) == [1 - given for given in answers(trials, features)]
    assert nearest_mean(np.zeros((3, 2)), np.ones(2), np.ones(2)) == 0, "of equals the first"


def test_the_score_counts_by_group_and_by_side():
    trials = [
        Trial(0, (1,), (2, 3), 0),
        Trial(0, (1,), (2, 3), 1),
        Trial(4, (1,), (2, 3), 1),
        Trial(4, (1,), (2, 3), 1),
    ]
    found = score(trials, [0, 0, 1])
    assert (found.asked, found.right, found.groups) == (3, 2, {0: 0.5, 4: 1.0})
    assert found.first == pytest.approx(2 / 3)
    assert found.mean == 0.75
    assert found.chance == pytest.approx((3 + 1) / 8), "two or three of three coins"
    assert math.isnan(score(trials, []).share)
    assert score(trials, []).chance == 1
    with pytest.raises(ValueError, match="expected 4 at most"):
        score(trials, [0] * 5)


@pytest.mark.parametrize(("right", "asked"), [(0, 10), (7, 20), (20, 20), (500, 1000)])
def test_the_interval_holds_the_shares_from_which_the_count_is_not_far(right, asked):
    z, share = 1.959964, right / asked
    for edge in interval(right, asked):
        if 0 < edge < 1:  # at its ends |share - p| is z standard deviations of a share of p
            assert abs(share - edge) == pytest.approx(z * math.sqrt(edge * (1 - edge) / asked))
    low, high = interval(right, asked)
    assert 0 <= low <= share <= high <= 1


def test_nothing_asked_is_nothing_known_and_impossible_counts_are_refused():
    assert interval(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="expected 0 to 3"):
        interval(4, 3)
