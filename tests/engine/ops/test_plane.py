"""Moving points: the plane of two components, and the turn that brings one map onto the last."""

import numpy as np
import pytest
import torch

from engine.metrics.embedding import principal_components
from engine.ops.plane import moving, plane, turn

DRAW = np.random.default_rng(0)
CLOUD = DRAW.normal(size=(200, 2)) * (3, 1)


def matrices():
    for angle in (0.3, 2.0, 4.5):
        turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        yield turned
        yield turned @ np.diag([1, -1])


@pytest.mark.parametrize("matrix", list(matrices()))
def test_a_turned_or_mirrored_copy_is_brought_back(matrix):
    np.testing.assert_allclose(CLOUD @ matrix @ turn(CLOUD @ matrix, CLOUD), CLOUD, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_turn_brings_points_nearer(seed):
    draw = np.random.default_rng(seed)
    one, two = draw.normal(size=(2, 30, 2))
    best = turn(one, two)
    np.testing.assert_allclose(best @ best.T, np.eye(2), atol=1e-12)
    reached = np.square(one @ best - two).sum()
    for angle in np.linspace(0, 2 * np.pi, 361):
        cos, sin = np.cos(angle), np.sin(angle)
        for other in ([[cos, -sin], [sin, cos]], [[cos, sin], [sin, -cos]]):
            assert reached <= np.square(one @ np.array(other) - two).sum() + 1e-9


def test_the_plane_is_that_of_the_principal_components():
    features = DRAW.normal(size=(300, 10)) * np.arange(1.0, 11)
    places, share = plane(features)
    known, shares = principal_components(torch.tensor(features))
    known = known[:, :2].double().numpy()
    known /= np.sqrt(np.square(known).sum() / 300)
    np.testing.assert_allclose(np.abs(places), np.abs(known), atol=1e-4)
    assert share == pytest.approx(shares[:2].sum().item(), rel=1e-4)
    assert np.square(places).sum(1).mean() == pytest.approx(1)


@pytest.mark.parametrize("features", [np.full((20, 5), 3.7, np.float16), np.ones((1, 4))])
def test_where_nothing_varies_all_lie_in_the_middle(features):
    places, share = plane(features)
    assert not places.any()
    assert share == 0


def test_one_feature_is_a_line():
    places, share = plane(np.arange(5.0)[:, None])
    assert not places[:, 1].any()
    assert share == pytest.approx(1)


def test_steps_that_only_turn_do_not_move_and_no_step_is_worse_for_being_aligned():
    walk = [DRAW.normal(size=(100, 8)) * np.arange(8, 0, -1)]
    for _ in range(6):
        walk.append(walk[-1] + DRAW.normal(size=(100, 8)) * 0.4)
    turned = [features @ np.linalg.qr(DRAW.normal(size=(8, 8)))[0] for features in walk]
    course, _ = moving(turned)
    np.testing.assert_allclose(course, moving(walk)[0] @ turn(moving(walk)[0][0], course[0]), atol=1e-6)
    for before, here, features in zip(course, course[1:], turned[1:], strict=False):
        assert np.square(here - before).sum() <= np.square(plane(features)[0] - before).sum() + 1e-9
        assert np.sqrt(np.square(here - before).sum(1)).mean() < 0.5


def test_steps_of_fewer_points_are_aligned_by_those_of_both():
    features = DRAW.normal(size=(50, 6)) * np.arange(6, 0, -1)
    course, shares = moving([features, features[:20] * [1, -1, 1, 1, 1, 1], np.empty((0, 0)), features])
    assert np.isnan(course[1, 20:]).all()
    assert np.isnan(course[2]).all()
    assert not np.isnan(course[1, :20]).any()
    assert len(shares) == 4
    np.testing.assert_allclose(course[3], course[0], atol=0.6)


def test_nothing_is_a_course_of_nothing():
    assert moving([])[0].shape == (0, 0, 2)
