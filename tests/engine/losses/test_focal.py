"""Focal loss against torchvision, its published gradient and start value; mining against its rule."""

import math

import pytest
import torch
import torch.nn.functional as F
from torchvision.ops import sigmoid_focal_loss

from engine.losses.focal import ohem, sigmoid_bce, sigmoid_focal
from engine.ops.boxes import iou

LOGITS = torch.randn(30, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 4
TARGETS = torch.rand(30, 4, generator=torch.Generator().manual_seed(1)) < 0.3


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("alpha", [0.25, 0.3, -1.0])
def test_agrees_with_torchvision(gamma, alpha):
    theirs = sigmoid_focal_loss(LOGITS, TARGETS.double(), alpha, gamma)
    torch.testing.assert_close(sigmoid_focal(LOGITS, TARGETS, gamma, alpha), theirs)


def test_without_focus_it_is_cross_entropy():
    plain = F.binary_cross_entropy_with_logits(LOGITS, TARGETS.double(), reduction="none")
    torch.testing.assert_close(sigmoid_bce(LOGITS, TARGETS), plain)
    torch.testing.assert_close(sigmoid_focal(LOGITS, TARGETS, gamma=0, alpha=-1), plain)
    torch.testing.assert_close(sigmoid_focal(LOGITS, TARGETS, gamma=0, alpha=0.5), plain / 2)
    torch.testing.assert_close(sigmoid_bce(LOGITS, TARGETS, 0.1), sigmoid_focal(LOGITS, TARGETS, 0, 0.1))


def test_gradient_is_the_published_one():
    logits = LOGITS.clone().requires_grad_()
    gamma, alpha = 2.0, 0.25
    sigmoid_focal(logits, TARGETS, gamma, alpha).sum().backward()
    p = LOGITS.sigmoid()
    positive = alpha * (1 - p) ** gamma * (gamma * p * p.log() + p - 1)
    negative = (1 - alpha) * p**gamma * (p - gamma * (1 - p) * (1 - p).log())
    torch.testing.assert_close(logits.grad, torch.where(TARGETS, positive, negative))


@pytest.mark.parametrize(("p", "factor"), [(0.9, 100), (0.968, 1 / 0.032**2)])
def test_easy_anchors_count_less(p, factor):
    logit, truth = torch.tensor([math.log(p / (1 - p))], dtype=torch.float64), torch.tensor([True])
    down = sigmoid_focal(logit, truth, 0, -1) / sigmoid_focal(logit, truth, 2, -1)
    assert down.item() == pytest.approx(factor)


def test_start_value_with_the_prior_bias():
    prior = 0.01
    logit = torch.full((2,), -math.log((1 - prior) / prior), dtype=torch.float64)
    positive, negative = sigmoid_focal(logit, torch.tensor([True, False])).tolist()
    assert positive == pytest.approx(0.25 * (1 - prior) ** 2 * -math.log(prior))
    assert negative == pytest.approx(0.75 * prior**2 * -math.log(1 - prior))


def test_extreme_logits_stay_finite_in_single_precision():
    logits = torch.tensor([-1e4, -100.0, 0, 100, 1e4]).repeat(2, 1).requires_grad_()
    targets = torch.tensor([[True], [False]]).expand(2, 5)
    loss = sigmoid_focal(logits, targets)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert logits.grad.isfinite().all()
    assert loss[0, 0].item() == pytest.approx(0.25e4)


def test_mining_keeps_the_hardest_that_do_not_overlap():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60], [80, 80, 90, 90], [0, 80, 10, 90]])
    losses = torch.tensor([3.0, 4.0, 1.0, 2.0, 0.5])
    assert iou(boxes[0], boxes[1]) > 0.7
    assert ohem(losses, boxes, keep=3).tolist() == [1, 3, 2]
    assert ohem(losses, boxes, keep=9, nms_threshold=0.95).tolist() == [1, 0, 3, 2, 4]


def test_mining_with_a_ratio_keeps_three_negatives_a_positive():
    boxes = torch.arange(40.0)[:, None] * 20 + torch.tensor([0.0, 0, 10, 10])
    losses = torch.rand(40, generator=torch.Generator().manual_seed(0))
    for positives in (0, 1, 4, 20, 40):
        positive = torch.arange(40) < positives
        picked = ohem(losses, boxes, 16, positive)
        kept = positive[picked].sum().item()
        assert len(picked) <= 16
        assert kept == min(positives, 4)
        assert len(picked) - kept == min(3 * max(kept, 1), 40 - positives)
        for side in (positive, ~positive):
            inside = side[picked]
            left = side.clone()
            left[picked] = False
            if inside.any() and left.any():
                assert losses[picked[inside]].min() >= losses[left].max()


def test_bad_input():
    with pytest.raises(ValueError, match=r"\(30, 3\) differs from the logits' \(30, 4\)"):
        sigmoid_focal(LOGITS, TARGETS[:, :3])
    with pytest.raises(TypeError, match=r"expected bool, got torch.float64"):
        sigmoid_focal(LOGITS, TARGETS.double())
    with pytest.raises(ValueError, match="gamma: expected 0 or more, got -1"):
        sigmoid_focal(LOGITS, TARGETS, gamma=-1)
    with pytest.raises(ValueError, match="alpha: expected 0 to 1"):
        sigmoid_bce(LOGITS, TARGETS, alpha=1.5)
    with pytest.raises(ValueError, match="keep: expected one anchor or more, got 0"):
        ohem(torch.zeros(2), torch.zeros(2, 4), 0)
    with pytest.raises(ValueError, match="must pair"):
        ohem(torch.zeros(3), torch.zeros(2, 4), 1)
