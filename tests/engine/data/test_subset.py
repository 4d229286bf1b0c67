"""Parts of sets: which images, in memory and on disk alike."""

import pytest
import torch

from engine.data.base import Batch, Facts, Memory
from engine.data.subset import balanced, labels_of, part, spread

FACTS = Facts(1, 3, ("a", "b", "c"))
LABELS = torch.tensor([0] * 20 + [1] * 10 + [2] * 3 + [-1] * 5)[torch.randperm(38, generator=torch.Generator())]


class OnDisk:
    """The same rows, but not a Memory."""

    def __init__(self, rows):
        self.whole, self.facts = Memory(rows, FACTS), FACTS

    def __len__(self):
        return len(self.whole)

    def batch(self, index):
        return self.whole.batch(index)


def rows(labels=LABELS):
    images = torch.arange(len(labels), dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 3, 3)
    return Batch(images, torch.arange(len(labels)), labels)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("count", range(1, 34))
def test_balanced_draws_as_evenly_as_there_are_images(count):
    positions = balanced(LABELS, count, generator())
    assert len(set(positions.tolist())) == count
    assert positions.tolist() == sorted(positions.tolist())
    drawn = torch.bincount(LABELS[positions], minlength=3)
    there = torch.tensor([20, 10, 3])
    # Even: a class has fewer than another only when it is exhausted, or by the one image that does not divide.
    assert all(drawn[i] >= min(there[i], drawn.max() - 1) for i in range(3))


def test_balanced_depends_on_the_seed_and_on_nothing_else():
    assert torch.equal(balanced(LABELS, 9, generator(1)), balanced(LABELS, 9, generator(1)))
    assert not torch.equal(balanced(LABELS, 9, generator(1)), balanced(LABELS, 9, generator(2)))


def test_balanced_gives_each_image_of_a_class_the_same_chance():
    labels, many = torch.tensor([0, 1, 0, 0, 1]), generator(3)
    drawn = torch.bincount(torch.cat([balanced(labels, 2, many) for _ in range(3000)]), minlength=5) / 3000
    assert torch.allclose(drawn, torch.tensor([1 / 3, 1 / 2, 1 / 3, 1 / 3, 1 / 2]), atol=0.04)  # 4 standard errors


@pytest.mark.parametrize("count", [0, -1, 34])
def test_balanced_refuses_what_cannot_be(count):
    with pytest.raises(ValueError, match=f"expected 1 to 33, the labelled images there are, got {count}"):
        balanced(LABELS, count, generator())


@pytest.mark.parametrize("dataset", [Memory(rows(), FACTS), OnDisk(rows())])
def test_a_part_answers_its_rows_renumbered_wherever_the_whole_is(dataset):
    piece = part(dataset, torch.tensor([5, 2, 2, 30]))
    batch = piece.batch(torch.tensor([3, 1, 0]))
    assert batch.images[:, 0, 0, 0].tolist() == [30, 2, 5]
    assert batch.index.tolist() == [3, 1, 0]
    assert torch.equal(batch.labels, LABELS[torch.tensor([30, 2, 5])])
    assert (len(piece), piece.facts) == (4, FACTS)
    nested = part(piece, torch.tensor([3, 0]))
    assert nested.batch(torch.arange(2)).images[:, 0, 0, 0].tolist() == [30, 5]
    assert torch.equal(labels_of(dataset), LABELS)


def test_spread_takes_images_at_even_distances_and_no_more_than_there_are():
    dataset = Memory(rows(), FACTS)
    assert spread(dataset, 4).batch(torch.arange(4)).images[:, 0, 0, 0].tolist() == [0, 9, 19, 28]
    assert len(spread(dataset, 1000)) == 38


def test_a_set_without_labels_is_named():
    bare = Batch(rows().images, torch.arange(38))
    for dataset in (Memory(bare, FACTS), OnDisk(bare)):
        with pytest.raises(ValueError, match="has no labels; choose one that has"):
            labels_of(dataset)
