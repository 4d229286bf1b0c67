"""Classification and segmentation counts against sklearn, torchmetrics and a worked example."""

import pytest
import torch
from sklearn import metrics as sklearn_metrics
from torchmetrics.functional.classification import multiclass_accuracy

from engine.metrics.classification import accuracy, confusion_matrix, per_class_accuracy, top_k_accuracy

GENERATOR = torch.Generator().manual_seed(0)
LABELS = torch.randint(0, 5, (400,), generator=GENERATOR)
SCORES = torch.randn(400, 6, generator=GENERATOR)
PREDICTIONS = SCORES.argmax(1)


def test_confusion_matrix_agrees_with_sklearn():
    expected = sklearn_metrics.confusion_matrix(LABELS, PREDICTIONS, labels=range(6))
    assert confusion_matrix(PREDICTIONS, LABELS, 6).tolist() == expected.tolist()
    maps = confusion_matrix(PREDICTIONS.reshape(4, 10, 10), LABELS.reshape(4, 10, 10), 6)
    assert maps.tolist() == expected.tolist()


def test_void_is_dropped_on_the_side_of_the_truth_only():
    labels = torch.tensor([0, 255, 1, 255])
    assert confusion_matrix(torch.tensor([0, 1, 1, 0]), labels, 2, void=255).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(ValueError, match="predictions: expected classes 0 to 1, got 0 to 255"):
        confusion_matrix(torch.tensor([255, 0, 0, 0]), labels, 2, void=255)


def test_accuracies_agree_with_libraries():
    assert accuracy(PREDICTIONS, LABELS).item() == pytest.approx(sklearn_metrics.accuracy_score(LABELS, PREDICTIONS))
    expected = sklearn_metrics.recall_score(LABELS, PREDICTIONS, average=None, labels=range(5))
    ours = per_class_accuracy(confusion_matrix(PREDICTIONS, LABELS, 6))
    torch.testing.assert_close(ours[:5], torch.from_numpy(expected))
    assert ours[5].isnan()  # class 5 never occurs
    for k in (1, 3):
        theirs = multiclass_accuracy(SCORES, LABELS, num_classes=6, average="micro", top_k=k)
        assert top_k_accuracy(SCORES, LABELS, k).item() == pytest.approx(theirs.item())
    assert top_k_accuracy(SCORES, LABELS, 6).item() == 1


def test_bad_input():
    with pytest.raises(ValueError, match="same shape with one entry or more"):
        accuracy(PREDICTIONS, LABELS[:-1])
    with pytest.raises(ValueError, match="k: expected 1 to 6 classes, got 7"):
        top_k_accuracy(SCORES, LABELS, 7)
    with pytest.raises(ValueError, match="labels: expected classes 0 to 2"):
        confusion_matrix(torch.zeros_like(LABELS), LABELS, 3)
