"""Neighbours against scikit-learn and a loop, and the cases where rounding or memory would show."""

import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch.utils._python_dispatch import TorchDispatchMode

from engine.ops import neighbours
from engine.ops.neighbours import nearest_neighbours

FEATURES = torch.randn(300, 12, generator=torch.Generator().manual_seed(0))
QUERIES = torch.randn(40, 12, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("room", [1 << 24, 1000])
def test_distances_and_positions_are_those_of_scikit_learn(metric, room, monkeypatch):
    monkeypatch.setattr(neighbours, "ROOM", room)  # the small one: rows three by three
    known = NearestNeighbors(metric=metric, algorithm="brute").fit(FEATURES.numpy())
    for queries in (None, QUERIES):
        distance, index = nearest_neighbours(FEATURES, 7, metric, queries)
        expected = known.kneighbors(None if queries is None else queries.numpy(), 7)
        torch.testing.assert_close(distance, torch.from_numpy(expected[0]), atol=1e-6, rtol=1e-5, check_dtype=False)
        assert torch.equal(index, torch.from_numpy(expected[1]))


def test_no_tensor_is_larger_than_the_room_or_the_features(monkeypatch):
    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            made = function(*args, **(kwargs or {}))
            largest = max([largest, *(each.numel() for each in (made if isinstance(made, tuple) else (made,))
                                      if isinstance(each, torch.Tensor))])  # fmt: skip
            return made

    monkeypatch.setattr(neighbours, "ROOM", 3000)
    with Watch():
        nearest_neighbours(FEATURES, 7)
    assert 3000 <= largest <= FEATURES.numel()


def test_points_far_from_the_origin_are_told_apart():
    far = FEATURES.double() + 1000
    truth = torch.cdist(far, far).fill_diagonal_(torch.inf).topk(5, largest=False)
    distance, index = nearest_neighbours(far, 5)
    torch.testing.assert_close(distance, truth.values.float(), atol=2e-3, rtol=0)  # float32 at 1000 has 6e-5 a number
    assert (index == truth.indices).float().mean() > 0.99


def test_all_others_can_be_asked_for_and_the_same_place_is_at_distance_0():
    distance, index = nearest_neighbours(torch.ones(5, 3), 4)
    assert torch.equal(distance, torch.zeros(5, 4))
    assert [sorted([*row, i]) for i, row in enumerate(index.tolist())] == [[0, 1, 2, 3, 4]] * 5
    assert nearest_neighbours(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), 1, "cosine")[0].tolist() == [[1.0], [1.0]]


def test_what_cannot_be_asked():
    with pytest.raises(ValueError, match="k: expected 1 to 1, one less than there are points, got 2"):
        nearest_neighbours(torch.ones(2, 3), 2)
    with pytest.raises(ValueError, match="k: expected 1 to 2, the size of the bank, got 3"):
        nearest_neighbours(torch.ones(2, 3), 3, queries=torch.ones(1, 3))
    with pytest.raises(ValueError, match=r"expected \(N, D\) with at least one row"):
        nearest_neighbours(torch.ones(0, 3), 1)
    with pytest.raises(ValueError, match="1 of 2 rows are not finite"):
        nearest_neighbours(torch.tensor([[1.0], [float("nan")]]), 1)
