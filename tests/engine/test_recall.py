"""What is kept of a model's answers, and by what it is found again."""

import pytest
import torch

from engine.bench import Bench, Setup
from engine.recall import Recall


def counted(recall, *given, size=4):
    """Whether the work was done anew."""
    done = []
    recall(lambda: done.append(None) or torch.zeros(size), "work", *given)
    return bool(done)


def test_work_is_done_once_for_the_same_values():
    recall, images = Recall(), torch.rand(2, 3, 4, 4)
    assert counted(recall, images, 0.5)
    assert not counted(recall, images.clone(), 0.5)


@pytest.mark.parametrize(
    "other",
    [
        (torch.zeros(2, 3), 0.5),
        (torch.zeros(6), 0.25),
        (torch.zeros(6).double(), 0.5),
        (torch.tensor([0, 0, 0, 0, 0, 1e-7]), 0.5),
        (0.5, torch.zeros(6)),
    ],
    ids=["shape", "number", "type", "an element", "order"],
)
def test_other_values_are_other_work(other):
    recall = Recall()
    assert counted(recall, torch.zeros(6), 0.5)
    assert counted(recall, *other)


def test_the_result_is_the_very_one():
    recall = Recall()
    first = recall(lambda: {"told": torch.rand(3)}, 1)
    assert recall(lambda: {"told": torch.rand(3)}, 1) is first


def test_the_oldest_is_forgotten_beyond_the_bytes():
    recall = Recall(most=100)  # two results of 40 bytes
    assert counted(recall, "a", size=10)
    assert counted(recall, "b", size=10)
    assert not counted(recall, "a", size=10)  # used again: b is the oldest now
    assert counted(recall, "c", size=10)
    assert not counted(recall, "a", size=10)
    assert counted(recall, "b", size=10)


def test_what_is_larger_than_all_is_kept_until_the_next():
    recall = Recall(most=100)
    assert counted(recall, "a", size=1000)
    assert not counted(recall, "a", size=1000)


def test_benches_share_what_they_are_given():
    recall = Recall()
    one, two = (Bench(Setup(device="cpu"), recall=recall) for _ in range(2))
    assert counted(one.recall, 1)
    assert not counted(two.recall, 1)
    assert counted(Bench(Setup(device="cpu")).recall, 1)
