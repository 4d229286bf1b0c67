"""Uncertainty measures: the ends of their ranges, their identity, sklearn's AUROC, and the risk-coverage curve."""

import math

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

from engine.metrics.uncertainty import (
    auroc,
    expected_entropy,
    mutual_information,
    predictive_entropy,
    risk_coverage,
    variation_ratio,
)

MEASURES = (predictive_entropy, expected_entropy, mutual_information, variation_ratio)


def members(*shape: int, seed: int = 0) -> torch.Tensor:
    """Random probabilities (B, T, C, ...)."""
    draw = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (draw * 2).softmax(2)


def values(p: torch.Tensor) -> list[float]:
    return [measure(p).item() for measure in MEASURES]


def test_members_that_agree_have_no_epistemic_part():
    one = members(1, 1, 4).expand(1, 6, 4)
    entropy = -(one[0, 0] * one[0, 0].log()).sum().item()
    assert values(one) == pytest.approx([entropy, entropy, 0, 0])


def test_members_that_are_sure_and_disagree_are_all_epistemic():
    p = F.one_hot(torch.tensor([[0, 0, 0, 1, 1, 2]]), 4).double()
    entropy = -sum(share * math.log(share) for share in (3 / 6, 2 / 6, 1 / 6))
    assert values(p) == pytest.approx([entropy, 0, entropy, 0.5])


def test_members_that_know_nothing_are_all_aleatoric():
    p = torch.full((1, 5, 4), 0.25, dtype=torch.float64)
    assert values(p)[:3] == pytest.approx([math.log(4), math.log(4), 0])


def test_information_is_the_mean_divergence_from_the_mean():
    p = members(7, 5, 4)
    mean = p.mean(1, keepdim=True)
    divergence = (p * (p / mean).log()).sum(2).mean(1)  # mean_t KL(p_t | mean)
    torch.testing.assert_close(mutual_information(p), divergence)


def test_order_of_members_and_of_classes_does_not_matter():
    p = members(3, 6, 5)
    for measure in MEASURES:
        torch.testing.assert_close(measure(p[:, torch.tensor([5, 3, 1, 0, 2, 4])]), measure(p))
        torch.testing.assert_close(measure(p.flip(2)), measure(p))


def test_every_pixel_is_a_sample():
    p = members(2, 4, 3, 5, 6)
    for measure in MEASURES:
        maps = measure(p)
        assert maps.shape == (2, 5, 6)
        torch.testing.assert_close(maps[1, 2, 3], measure(p[1:, :, :, 2, 3])[0])


def test_auroc_agrees_with_sklearn_ties_included():
    generator = torch.Generator().manual_seed(0)
    positive = torch.randint(0, 12, (80,), generator=generator) / 4 + 0.5
    negative = torch.randint(0, 12, (120,), generator=generator) / 4
    truth, scores = [1] * 80 + [0] * 120, torch.cat((positive, negative))
    assert auroc(positive, negative).item() == pytest.approx(roc_auc_score(truth, scores))
    assert auroc(negative, positive).item() == pytest.approx(1 - roc_auc_score(truth, scores))
    assert auroc(negative + 10, negative).item() == 1
    assert auroc(negative, negative).item() == 0.5


def test_risk_coverage_is_its_definition():
    uncertainty = torch.tensor([0.3, 0.1, 0.9, 0.5])
    errors = torch.tensor([True, False, True, False])
    coverage, risk = risk_coverage(uncertainty, errors)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert risk.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])


def test_risk_ends_at_the_error_rate_and_ties_have_no_order():
    generator = torch.Generator().manual_seed(1)
    uncertainty = torch.randint(0, 5, (200,), generator=generator) / 5
    errors = torch.rand(200, generator=generator) < 0.3
    risk = risk_coverage(uncertainty, errors)[1]
    assert risk[-1].item() == pytest.approx(errors.double().mean().item())
    order = torch.randperm(200, generator=generator)
    torch.testing.assert_close(risk_coverage(uncertainty[order], errors[order])[1], risk)
    same = risk_coverage(torch.zeros(200), errors)[1]
    torch.testing.assert_close(same, torch.full_like(same, errors.double().mean().item()))


def test_bad_input():
    with pytest.raises(ValueError, match="T >= 2"):
        mutual_information(members(3, 1, 4))
    with pytest.raises(ValueError, match="sum to 1 along axis 2"):
        predictive_entropy(torch.rand(2, 3, 4) + 1)
    with pytest.raises(ValueError, match="0 positive and 2 negative"):
        auroc(torch.zeros(0), torch.zeros(2))
    with pytest.raises(ValueError, match=r"same \(N,\)"):
        risk_coverage(torch.zeros(3), torch.zeros(2))
