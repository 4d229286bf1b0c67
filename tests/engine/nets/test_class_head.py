"""The head of self-distillation: cosines with directions whose lengths mean nothing."""

import pytest
import torch

from engine.nets.class_head import ClassHead


def test_scores_are_cosines_whatever_the_lengths_of_the_directions():
    torch.manual_seed(0)
    head, features = ClassHead(6, 8, 4, 5), torch.randn(3, 6)
    scores = head(features)
    assert scores.shape == (3, 5)
    inner = head.mlp(features)
    slow = [[torch.cosine_similarity(z, w, dim=0).item() for w in head.directions] for z in inner]
    torch.testing.assert_close(scores, torch.tensor(slow))
    head.directions.data *= torch.rand(5, 1) + 0.5
    torch.testing.assert_close(head(features), scores)


def test_it_is_the_weight_normalised_layer_with_a_gain_of_one():
    torch.manual_seed(0)
    head, features = ClassHead(6, 8, 4, 5), torch.randn(3, 6)
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 5, bias=False))
    layer.parametrizations.weight.original0.data.fill_(1)
    layer.parametrizations.weight.original1.data.copy_(head.directions)
    torch.testing.assert_close(head(features), layer(torch.nn.functional.normalize(head.mlp(features), dim=1)))


def test_with_batch_norm_a_shift_of_all_features_changes_nothing():
    torch.manual_seed(0)
    head, features = ClassHead(6, 8, 4, 5, norm=True).train(), torch.randn(7, 6)
    torch.testing.assert_close(head(features + torch.randn(6)), head(features), rtol=1e-3, atol=1e-4)


def test_a_single_class_is_refused():
    with pytest.raises(ValueError, match="classes: expected 2 or more, got 1"):
        ClassHead(6, 8, 4, 1)
