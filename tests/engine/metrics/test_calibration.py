"""Calibration against torchmetrics, its ends, and a temperature that must be found again."""

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from engine.metrics.calibration import (
    brier,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)


def simulate(count: int, classes: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels drawn from their softmax: perfectly calibrated."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, classes, generator=generator, dtype=torch.float64) * 1.5
    return logits, torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]


LOGITS, LABELS = simulate(3000)


def test_ece_agrees_with_torchmetrics():
    probabilities = (LOGITS * 2).softmax(1)
    for bins in (1, 10, 15):
        theirs = multiclass_calibration_error(probabilities, LABELS, num_classes=5, n_bins=bins, norm="l1")
        assert expected_calibration_error(probabilities, LABELS, bins).item() == pytest.approx(theirs.item(), abs=2e-6)


def test_reliability_is_its_loop():
    probabilities = LOGITS.softmax(1)
    table = reliability(probabilities, LABELS, bins=7)
    confidence, predictions = probabilities.max(1)
    for i in range(7):
        inside = (confidence > i / 7) & (confidence <= (i + 1) / 7)
        assert table.count[i] == inside.sum()
        if inside.any():
            assert table.confidence[i].item() == pytest.approx(confidence[inside].mean().item())
            right = (predictions == LABELS)[inside].double().mean().item()
            assert table.accuracy[i].item() == pytest.approx(right)
        else:
            assert table.confidence[i] == table.accuracy[i] == 0


def test_bins_are_closed_on_the_right():
    probabilities = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.75, 0.25]], dtype=torch.float64)
    assert reliability(probabilities, torch.zeros(3, dtype=torch.int64), bins=4).count.tolist() == [0, 1, 1, 1]


def test_sure_and_right_is_zero_sure_and_wrong_is_one():
    sure = F.one_hot(LABELS, 5).double()
    assert expected_calibration_error(sure, LABELS).item() == 0
    assert expected_calibration_error(sure, (LABELS + 1) % 5).item() == 1


def test_a_calibrated_model_tends_to_zero():
    logits, labels = simulate(100_000)
    small, large = (expected_calibration_error(logits[:n].softmax(1), labels[:n]).item() for n in (1000, 100_000))
    assert large < 0.006 < small


def test_proper_scores():
    probabilities = LOGITS.softmax(1)
    assert negative_log_likelihood(probabilities, LABELS).item() == pytest.approx(log_loss(LABELS, probabilities))
    slow = sum(
        sum((p[c].item() - (c == y)) ** 2 for c in range(5))
        for p, y in zip(probabilities[:50], LABELS[:50].tolist(), strict=True)
    )
    assert brier(probabilities[:50], LABELS[:50]).item() == pytest.approx(slow / 50)
    uniform = torch.full((3, 4), 0.25)
    assert brier(uniform, torch.tensor([0, 1, 3])).item() == pytest.approx(0.75**2 + 3 * 0.25**2)


def test_temperature_of_logits_that_were_multiplied_is_multiplied():
    base = fit_temperature(LOGITS, LABELS)
    assert base == pytest.approx(1, abs=0.1)  # calibrated by construction
    for factor in (0.2, 3.0, 20.0):
        assert fit_temperature(LOGITS * factor, LABELS) == pytest.approx(base * factor, rel=1e-5)


def test_temperature_is_the_least_nll_and_keeps_the_answers():
    logits = LOGITS * 3
    best = fit_temperature(logits, LABELS)

    def nll(temperature: float) -> float:
        return F.cross_entropy(logits / temperature, LABELS).item()

    assert nll(best) < min(nll(best * 1.02), nll(best / 1.02))
    inverse = torch.tensor(1 / best, dtype=torch.float64, requires_grad=True)
    F.cross_entropy(logits * inverse, LABELS).backward()
    assert abs(inverse.grad.item()) < 1e-6
    assert torch.equal((logits / best).argmax(1), logits.argmax(1))
    before, after = (expected_calibration_error((logits / t).softmax(1), LABELS) for t in (1.0, best))
    assert after < before / 3


def test_temperature_of_a_model_that_is_always_right_is_finite():
    assert 0 < fit_temperature(F.one_hot(LABELS, 5) * 4.0, LABELS) < 1


def test_temperature_works_where_gradients_are_off():
    with torch.no_grad():
        assert fit_temperature(LOGITS * 2, LABELS) == pytest.approx(2, rel=0.1)


def test_bad_input():
    with pytest.raises(ValueError, match="apply softmax to logits first"):
        expected_calibration_error(LOGITS, LABELS)
    with pytest.raises(ValueError, match="sum to 1"):
        brier(torch.full((2, 2), float("nan")), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match="bins: expected 1 or more, got 0"):
        reliability(LOGITS.softmax(1), LABELS, 0)
    with pytest.raises(ValueError, match="labels: expected 0 to 3, got 0 to 4"):
        fit_temperature(LOGITS[:, :4], LABELS)
    with pytest.raises(ValueError, match=r"expected \(N, C\) scores"):
        fit_temperature(LOGITS, LABELS[:5])
