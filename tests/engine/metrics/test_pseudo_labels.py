"""The report card of pseudo-labels, and what a threshold keeps."""

import pytest
import torch

from engine.data.base import Batch, Facts, Memory
from engine.metrics.pseudo_labels import purity, report_card

TOLD = torch.tensor([[0.9, 0.1], [0.25, 0.75], [0.65, 0.35], [0.7, 0.3], [0.05, 0.95]])
TRUTH = torch.tensor([0, 1, 1, 0, 0])  # right, right, wrong (0.65), right, wrong (0.95)


def pictures():
    images = (torch.arange(5, dtype=torch.uint8) * 51)[:, None, None, None].expand(-1, 1, 2, 2)
    return Memory(Batch(images, torch.arange(5)), Facts(1, 2, ("cat", "dog")))


def test_the_card_counted_by_hand():
    card = report_card(TOLD, TRUTH, 0.68, pictures())
    assert card["pseudo/kept"].item() == pytest.approx(4 / 5)
    assert card["pseudo/right"].item() == pytest.approx(3 / 4)
    assert card["range"] == [f"up to {edge}: {count} pictures" for edge, count in
                             (("0.2", 0), ("0.4", 0), ("0.6", 0), ("0.8", 3), ("1.0", 2))]  # fmt: skip
    assert card["share_right"].tolist() == pytest.approx([0, 0, 0, 2 / 3, 1 / 2])
    assert card["confidence"].tolist() == pytest.approx([0, 0, 0, 0.7, 0.925], abs=1e-6)
    assert (card["surely_wrong"][:, 0, 0, 0] * 5).round().tolist() == [4, 2]
    assert (card["surely_right"][:, 0, 0, 0] * 5).round().tolist() == [0, 1, 3]
    assert (card["called"], card["truly"]) == (["dog", "cat"], ["cat", "dog"])


def test_a_perfect_teacher_has_no_wrong_pictures_and_an_unknown_truth_no_card():
    card = report_card(TOLD, TOLD.argmax(1), 0.0, pictures())
    assert card["pseudo/right"] == 1
    assert "surely_wrong" not in card
    assert set(report_card(TOLD, TRUTH.clone().fill_(-1), 0.8, pictures())) == {"pseudo/kept"}


def test_purity_is_its_definition_at_each_threshold():
    told, right = torch.rand(50, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 3 == 0
    thresholds = torch.tensor([0.0, 0.3, 0.9, 2.0])
    kept, pure = purity(told, right, thresholds)
    for i, limit in enumerate(thresholds.tolist()):
        above = [bool(r) for value, r in zip(told.tolist(), right, strict=True) if value > limit]
        assert kept[i].item() == pytest.approx(len(above) / 50)
        assert (pure[i].item() == pytest.approx(sum(above) / len(above))) if above else pure[i].isnan()
