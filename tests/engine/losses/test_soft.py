"""Soft targets: the hard case, the entropy as floor, and temperature."""

import pytest
import torch
import torch.nn.functional as F

from engine.losses.soft import soft_cross_entropy, soften

LOGITS = torch.randn(5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TEACHER = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_one_hot_targets_are_labels():
    labels = torch.tensor([0, 3, 1, 1, 2])
    ours = soft_cross_entropy(LOGITS, F.one_hot(labels, 4).double())
    torch.testing.assert_close(ours, F.cross_entropy(LOGITS, labels, reduction="none"))


def test_least_at_the_teacher_where_it_is_the_teachers_entropy():
    targets = soften(TEACHER)
    logits = TEACHER.clone().requires_grad_()
    loss = soft_cross_entropy(logits, targets)
    torch.testing.assert_close(loss, torch.special.entr(targets).sum(1))
    loss.sum().backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits))
    assert (soft_cross_entropy(LOGITS, targets) > loss).all()


def test_no_gradient_reaches_the_teacher():
    teacher = TEACHER.clone().requires_grad_()
    logits = LOGITS.clone().requires_grad_()
    soft_cross_entropy(logits, soften(teacher)).sum().backward()
    assert teacher.grad is None
    assert logits.grad.abs().sum() > 0


def test_each_pixel_is_a_sample():
    logits, targets = torch.randn(2, 3, 4, 5), torch.rand(2, 3, 4, 5).softmax(1)
    maps = soft_cross_entropy(logits, targets)
    assert maps.shape == (2, 4, 5)
    torch.testing.assert_close(maps[1, 2, 3], soft_cross_entropy(logits[1:, :, 2, 3], targets[1:, :, 2, 3])[0])


def test_temperature():
    torch.testing.assert_close(soften(TEACHER, 2.0), (TEACHER / 2).softmax(1))
    torch.testing.assert_close(soften(TEACHER, 1e9), torch.full((5, 4), 0.25, dtype=torch.float64))
    torch.testing.assert_close(soften(TEACHER, 1e-4), F.one_hot(TEACHER.argmax(1), 4).double())
    with pytest.raises(ValueError, match="temperature: expected more than 0, got -1"):
        soften(TEACHER, -1)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"targets: shape \(5, 3\) differs"):
        soft_cross_entropy(LOGITS, TEACHER[:, :3])
