"""Which kinds prototypes went to: by hand, by a slow count, and what cannot be."""

import pytest
import torch

from engine.metrics.owners import owners


def test_by_hand():
    # Pictures 0-2 are nearest to prototype 0 (kinds a, a, b), picture 3 to prototype 1 (kind b), none to prototype 2.
    scores = torch.tensor([[9.0, 1, 0], [9, 1, 0], [9, 1, 0], [1, 9, 0]])
    pictures, prototypes = owners(scores, torch.tensor([0, 0, 1, 1]), 3)
    assert pictures.tolist() == [0.5, 0.5, 0]
    torch.testing.assert_close(prototypes, torch.tensor([1 / 3, 1 / 3, 0]))


def test_against_a_slow_count_and_pictures_of_unknown_kind_do_not_count():
    torch.manual_seed(0)
    scores, labels = torch.randn(200, 12), torch.randint(-1, 4, (200,))
    pictures, prototypes = owners(scores, labels, 4)
    count = [0] * 4
    for group in range(12):
        within = [int(label) for row, label in zip(scores, labels, strict=True) if label >= 0 and row.argmax() == group]
        if within:
            count[max(range(4), key=lambda kind: (within.count(kind), -kind))] += 1
    torch.testing.assert_close(prototypes, torch.tensor(count) / 12)
    assert pictures.sum().item() == pytest.approx(1)
    other = owners(scores.masked_fill((labels < 0)[:, None], 7.0), labels, 4)
    assert torch.equal(other[1], prototypes)


def test_of_nothing_known_nobody_owns_anything():
    pictures, prototypes = owners(torch.randn(5, 3), torch.full((5,), -1), 2)
    assert pictures.tolist() == prototypes.tolist() == [0, 0]


def test_what_cannot_be_is_told():
    with pytest.raises(ValueError, match=r"expected \(N, K\) and \(N,\), got \(5, 3\) and \(4,\)"):
        owners(torch.randn(5, 3), torch.zeros(4).long(), 2)
    with pytest.raises(ValueError, match="labels: expected -1 to 1, got 2"):
        owners(torch.randn(1, 3), torch.tensor([2]), 2)
