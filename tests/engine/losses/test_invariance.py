"""Contrast and invariance against loops, plain contrast as a special case, where gradients flow, what is refused."""

import math

import pytest
import torch
from torch.nn import functional as F

from engine.losses.contrastive import info_nce
from engine.losses.invariance import candidates, divergence, log_likeness, relic

B, D = 6, 5


def rows(seed, count):
    dice = torch.Generator().manual_seed(seed)
    return [F.normalize(torch.randn(B, D, generator=dice, dtype=torch.float64), dim=1) for _ in range(count)]


def everyone():
    return candidates(B, B - 1, torch.Generator().manual_seed(0))


def likeness(one, other, chosen, temperature):
    """p of picture i of being each of its candidates, by the equation."""
    weights = [math.exp((one * other[j]).sum().item() / temperature) for j in chosen]
    return [weight / sum(weights) for weight in weights]


@pytest.mark.parametrize("negatives", [2, B - 1])
def test_it_is_the_loop_that_the_paper_writes(negatives):
    online, target = rows(0, 3), rows(1, 2)
    columns = candidates(B, negatives, torch.Generator().manual_seed(3))
    seen = [*target, online[2]]  # a small crop has no target: its own row stands in
    contrast = kl = 0.0
    for k in range(3):
        for place in range(2):
            for i in range(B):
                there = likeness(online[k][i], target[place], columns[i].tolist(), 0.3)
                back = likeness(online[place][i], seen[k], columns[i].tolist(), 0.3)
                contrast -= math.log(there[0]) / B
                kl += sum(p * math.log(p / q) for p, q in zip(there, back, strict=True)) / B
    pairs = (2 + 1) * 2  # the paper divides by (large + small) times large
    told = relic(online, target, columns, 0.3)
    assert [each.item() for each in told] == pytest.approx([contrast / pairs, kl / pairs], rel=1e-9)


def test_of_two_different_large_crops_the_contrast_is_info_nce():
    online, target = rows(0, 2), rows(1, 2)
    logs = log_likeness(online[0], target[1], everyone(), 0.2)
    assert -logs[:, 0].mean().item() == pytest.approx(
        F.cross_entropy(online[0] @ target[1].T / 0.2, torch.arange(B)).item()
    )
    one = [info_nce(online[0][i : i + 1], target[1][i : i + 1], target[1][torch.arange(B) != i], 0.2) for i in range(B)]
    assert -logs[:, 0].mean().item() == pytest.approx(torch.stack(one).mean().item())


def test_of_identical_views_the_directions_are_one():
    (online,), (target,) = rows(0, 1), rows(1, 1)
    _, kl = relic([online, online], [target, target], everyone(), 0.3)
    assert kl.item() == pytest.approx(0, abs=1e-12)


def test_the_divergence_is_never_negative_and_that_of_a_library():
    there, back = (torch.randn(50, 7, generator=torch.Generator().manual_seed(s)).log_softmax(dim=1) for s in (0, 1))
    assert (divergence(there, back) >= 0).all()
    expected = F.kl_div(back, there, log_target=True, reduction="none").sum(dim=1)
    torch.testing.assert_close(divergence(there, back), expected)


def test_the_gradient_of_invariance_flows_through_the_first_direction_alone():
    there, back = (torch.randn(4, 3).log_softmax(dim=1).requires_grad_() for _ in range(2))
    divergence(there, back).sum().backward()
    assert back.grad is None
    assert there.grad.abs().sum() > 0


def test_a_small_crop_moves_itself_but_not_the_other_direction():
    """Of the small crop's pairs alone: with free rows for everything, only its own row gets a gradient of the KL."""
    large, small = (each.requires_grad_() for each in rows(0, 2))
    (target,) = rows(1, 1)
    _, alone = relic([large, small], [target], everyone(), 0.3)
    _, without = relic([large], [target], everyone(), 0.3)
    grad = torch.autograd.grad(2 * alone - without, (large, small))
    assert grad[0].abs().max() < 1e-12
    assert grad[1].abs().sum() > 0


def test_equal_rows_are_at_chance():
    row = torch.ones(B, D) / D**0.5
    contrast, kl = relic([row, row], [row, row], candidates(B, 3, torch.Generator()), 0.3)
    assert contrast.item() == pytest.approx(math.log(4))
    assert kl.item() == pytest.approx(0, abs=1e-6)


def test_candidates_are_itself_first_and_then_others_without_repetition():
    drawn = candidates(64, 10, torch.Generator().manual_seed(0))
    assert torch.equal(drawn[:, 0], torch.arange(64))
    assert all(len(set(row)) == 11 for row in drawn.tolist())
    assert not torch.equal(drawn, candidates(64, 10, torch.Generator().manual_seed(1)))
    often = torch.bincount(
        torch.cat([candidates(5, 2, torch.Generator().manual_seed(s))[0, 1:] for s in range(2000)]), minlength=5
    )
    assert often[0] == 0
    assert (often[1:] - 1000).abs().max() < 4 * (2000 * 0.5 * 0.5) ** 0.5  # each of the four in half of the draws


@pytest.mark.parametrize("negatives", [0, B])
def test_too_many_or_no_negatives_are_refused(negatives):
    with pytest.raises(ValueError, match=f"negatives: of 6 pictures each has 1 to 5 others, got {negatives}"):
        candidates(B, negatives, torch.Generator())


@pytest.mark.parametrize(
    ("online", "target", "columns", "temperature", "said"),
    [
        (torch.ones(6, 5), torch.ones(5, 5), everyone(), 0.3, r"same shape \(B, D\), got \(6, 5\) and \(5, 5\)"),
        (torch.ones(6), torch.ones(6), everyone(), 0.3, "same shape"),
        (torch.ones(6, 5), torch.ones(6, 5), everyone(), 0.0, "temperature: expected more than 0, got 0.0"),
        (torch.ones(6, 5), torch.ones(6, 5), everyone()[:4], 0.3, r"columns: expected \(6, 1 \+ N\), got shape"),
    ],
)
def test_what_cannot_be_is_said(online, target, columns, temperature, said):
    with pytest.raises(ValueError, match=said):
        log_likeness(online, target, columns, temperature)


@pytest.mark.parametrize(("online", "target"), [(2, 0), (1, 2)])
def test_targets_without_online_rows_are_refused(online, target):
    with pytest.raises(ValueError, match=f"got {target} and {online}"):
        relic(rows(0, online), rows(1, target), everyone(), 0.3)
