"""In-batch contrast against a loop and against the one-sided InfoNCE, its chance value, and what is refused."""

import math

import pytest
import torch
import torch.nn.functional as F

from engine.losses.contrastive import info_nce
from engine.losses.in_batch import in_batch_contrast, in_batch_logits, symmetric_contrast


def rows(seed, count=6, width=5):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow(query, key, temperature):
    total = 0.0
    for i in range(len(query)):
        scores = [(query[i] @ key[j] / (query[i].norm() * key[j].norm()) / temperature).item() for j in range(len(key))]
        total += math.log(sum(map(math.exp, scores))) - scores[i]
    return 2 * temperature * total / len(query)


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_it_is_the_loop_over_queries(temperature):
    assert in_batch_contrast(rows(0), rows(1), temperature).item() == pytest.approx(slow(rows(0), rows(1), temperature))
    both = symmetric_contrast((rows(0), rows(2)), (rows(1), rows(3)), temperature).item()
    assert both == pytest.approx(slow(rows(0), rows(1), temperature) + slow(rows(2), rows(3), temperature))


def test_each_row_is_info_nce_with_the_other_keys_as_its_queue():
    query, key = F.normalize(rows(0), dim=1), F.normalize(rows(1), dim=1)
    others = [torch.cat((key[:i], key[i + 1 :])) for i in range(6)]
    each = [info_nce(query[i : i + 1], key[i : i + 1], others[i], 0.2) for i in range(6)]
    assert in_batch_contrast(query, key, 0.2).item() == pytest.approx(0.4 * torch.stack(each).mean().item())


def test_of_equal_rows_it_is_chance():
    same = torch.ones(256, 8)
    assert in_batch_contrast(same, same, 0.2).item() == pytest.approx(2 * 0.2 * math.log(256), rel=1e-5)
    assert symmetric_contrast((same, same), (same, same), 0.2).item() == pytest.approx(4.436, abs=1e-3)


def test_of_orthogonal_partners_it_is_the_closed_form():
    expected = 2 * 0.5 * (math.log(math.exp(1 / 0.5) + 4) - 1 / 0.5)
    assert in_batch_contrast(torch.eye(5), 3 * torch.eye(5), 0.5).item() == pytest.approx(expected, rel=1e-6)


def test_swapping_the_views_changes_nothing():
    queries, keys = (rows(0), rows(1)), (rows(2), rows(3))
    swapped = symmetric_contrast(queries[::-1], keys[::-1], 0.2)
    torch.testing.assert_close(symmetric_contrast(queries, keys, 0.2), swapped)


def test_lengths_and_the_order_of_pairs_change_nothing():
    order, lengths = torch.randperm(6), torch.rand(6, 1, dtype=torch.float64) + 0.1
    moved = in_batch_contrast((rows(0) * lengths)[order], rows(1)[order], 0.2)
    torch.testing.assert_close(in_batch_contrast(rows(0), rows(1), 0.2), moved)


def test_the_gradient_keeps_its_size_whatever_the_temperature():
    """At unit queries it is 2 (sum_j p_j k_j - k_i) / N along the sphere, without a factor 1 / t."""
    key = F.normalize(rows(1), dim=1)
    for temperature in (0.02, 0.2, 2.0):
        query = F.normalize(rows(0), dim=1).requires_grad_()
        in_batch_contrast(query, key, temperature).backward()
        share = (query.detach() @ key.T / temperature).softmax(dim=1)
        expected = 2 * (share @ key - key) / 6
        expected -= (expected * query.detach()).sum(dim=1, keepdim=True) * query.detach()
        torch.testing.assert_close(query.grad, expected)


@pytest.mark.parametrize(
    ("query", "key", "temperature", "said"),
    [
        (rows(0), rows(1, 4), 0.2, r"expected the same shape \(N, D\), got \(6, 5\) and \(4, 5\)"),
        (rows(0)[0], rows(1)[0], 0.2, r"expected the same shape \(N, D\), got \(5,\) and \(5,\)"),
        (rows(0, 1), rows(1, 1), 0.2, "needs at least 2 images as each other's negatives, got 1"),
        (rows(0), rows(1), 0.0, "temperature: expected more than 0, got 0.0"),
    ],
)
def test_what_cannot_be_is_said(query, key, temperature, said):
    with pytest.raises(ValueError, match=said):
        in_batch_logits(query, key, temperature)


@pytest.mark.parametrize("keys", [0, 1])
def test_queries_without_keys_are_refused(keys):
    queries = (rows(0),) * 2 * keys
    with pytest.raises(ValueError, match=f"expected one or more pairs, got {2 * keys} and {keys}"):
        symmetric_contrast(queries, (rows(1),) * keys, 0.2)
