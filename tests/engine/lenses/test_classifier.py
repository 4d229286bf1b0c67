"""Which models a lens for classifiers may look through."""

import pytest
import torch
from torch import nn

from engine.data.base import Facts
from engine.lenses.classifier import as_classifier

FACTS = Facts(1, 4, ("cat", "dog", "bird"))


class Answers(nn.Module):
    def __init__(self, give):
        super().__init__()
        self.give, self.norm = give, nn.BatchNorm2d(1)

    def forward(self, images):
        return self.give(self.norm(images))


def logits(images):
    return images.flatten(1)[:, :3]


def test_a_row_of_logits_a_picture_makes_a_classifier_with_names():
    model = Answers(logits).eval()
    found = as_classifier(model, FACTS)
    assert found.classes == ("cat", "dog", "bird")
    assert found(torch.zeros(5, 1, 4, 4)).shape == (5, 3)


@pytest.mark.parametrize(
    "give",
    [
        lambda images: images,
        lambda images: images.flatten(1)[:, :2],
        lambda images: (images, images),
        lambda images: {}["labels"] if isinstance(images, dict) else images.expand(1, 1, 2, 2),
        lambda images: torch.zeros(1, 3, 4, 4),
    ],
)
def test_whatever_else_answers_is_none(give):
    assert as_classifier(Answers(give).eval(), FACTS) is None


def test_without_two_classes_there_is_nothing_to_tell_apart():
    assert as_classifier(Answers(logits), Facts(1, 4)) is None
    assert as_classifier(Answers(logits), Facts(1, 4, ("all",))) is None
