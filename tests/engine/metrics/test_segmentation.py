"""Semantic scores: the worked example, torchmetrics, and accumulation over batches."""

import pytest
import torch
from torchmetrics.segmentation import MeanIoU

from engine.metrics.classification import confusion_matrix, per_class_accuracy
from engine.metrics.segmentation import class_iou, mean_iou, pixel_accuracy


def test_worked_example():
    # Class 0: 1 shared of 2. Class 1: 2 shared of 3. Class 2 occurs nowhere.
    h = confusion_matrix(torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1]), 3)
    iou = class_iou(h)
    assert iou[:2].tolist() == pytest.approx([1 / 2, 2 / 3])
    assert iou[2].isnan()
    assert mean_iou(h).item() == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert pixel_accuracy(h).item() == 0.75
    assert per_class_accuracy(h).nanmean().item() == pytest.approx((1 + 2 / 3) / 2)


def test_agrees_with_torchmetrics():
    generator = torch.Generator().manual_seed(0)
    truth, said = torch.randint(0, 4, (2, 1, 20, 30), generator=generator)
    theirs = MeanIoU(num_classes=4, per_class=True, input_format="index")(said, truth)
    torch.testing.assert_close(class_iou(confusion_matrix(said, truth, 4)).float(), theirs.float())


def test_a_data_set_is_one_picture():
    generator = torch.Generator().manual_seed(1)
    truth, said = torch.randint(0, 3, (2, 6, 8, 8), generator=generator)
    parts = sum(confusion_matrix(a, b, 3) for a, b in zip(said, truth, strict=True))
    assert torch.equal(parts, confusion_matrix(said, truth, 3))


def test_perfect_and_void():
    truth = torch.tensor([0, 1, 255, 1])
    h = confusion_matrix(torch.tensor([0, 1, 0, 1]), truth, 2, void=255)
    assert mean_iou(h).item() == 1
    assert pixel_accuracy(h).item() == 1
