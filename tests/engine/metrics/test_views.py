"""Merging, agreement and the choice of views, against slow definitions and brute force."""

import itertools

import pytest
import torch

from engine.metrics.views import (
    EXACT,
    Chosen,
    agreement,
    cheapest,
    closeness,
    frontier,
    merged,
    pareto,
    right,
    warnings,
)

HOWS = ("mean of probabilities", "mean of logits", "vote", "max")


def told(views=4, count=30, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(views, count, classes, generator=generator), torch.randint(
        classes, (count,), generator=generator
    )


@pytest.mark.parametrize("how", HOWS)
def test_merging_is_what_its_name_says(how):
    logits, _ = told()
    found = merged(logits, how)
    assert torch.allclose(found.sum(dim=1), torch.ones(30))
    for n in range(30):
        rows = [view.softmax(0) for view in logits[:, n]]
        if how == "mean of probabilities":
            slow = sum(rows) / 4
        elif how == "mean of logits":  # the geometric mean of the probabilities
            slow = torch.stack(rows).log().mean(0).exp()
        elif how == "max":
            slow = torch.stack([max(row[c] for row in rows) for c in range(3)])
        else:
            votes = [int(row.argmax()) for row in rows]
            counts = [votes.count(c) for c in range(3)]
            best = [c for c in range(3) if counts[c] == max(counts)]
            winner = max(best, key=lambda c: float(sum(row[c] for row in rows)))
            assert int(found[n].argmax()) == winner
            assert torch.allclose(found[n], torch.tensor(counts) / 4, atol=1e-3)
            continue
        assert torch.allclose(found[n], slow / slow.sum(), atol=1e-5)


@pytest.mark.parametrize("how", HOWS)
def test_one_view_alone_answers_as_it_does_and_equal_views_change_nothing(how):
    logits, _ = told(1)
    assert torch.equal(merged(logits, how).argmax(1), logits[0].argmax(1))
    many = logits.expand(5, -1, -1)
    assert torch.allclose(merged(many, how), merged(logits, how), atol=1e-6)


def test_no_view_is_an_error():
    with pytest.raises(ValueError, match="views: none is chosen; choose at least one"):
        merged(torch.zeros(0, 2, 3), "vote")


def test_agreement_counts_equal_answers():
    logits, _ = told()
    said, found = logits.argmax(2).tolist(), agreement(logits)
    for i, j in itertools.product(range(4), repeat=2):
        slow = sum(a == b for a, b in zip(said[i], said[j], strict=True)) / 30
        assert found[i, j].item() == pytest.approx(slow)
    chance = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    assert closeness(chance).tolist() == [[1, 0, 0.5], [0, 1, 0.5], [0.5, 0.5, 1]]


@pytest.mark.parametrize("how", HOWS)
def test_the_frontier_is_that_of_all_sets(how):
    logits, labels = told(5)
    for count, found in enumerate(frontier(logits, labels, how), 1):
        every = {views: right(logits, views, labels, how) for views in itertools.combinations(range(5), count)}
        assert len(found.views) == count
        assert found.right == every[found.views] == max(every.values())


def test_of_many_views_the_set_grows_by_the_view_that_helps_most():
    logits, labels = told(EXACT + 2)
    found = frontier(logits, labels, "mean of probabilities")
    assert [len(one.views) for one in found] == list(range(1, EXACT + 3))
    for smaller, larger in itertools.pairwise(found):
        assert set(smaller.views) < set(larger.views)
        others = [{*smaller.views, view} for view in range(EXACT + 2) if view not in smaller.views]
        assert larger.right == max(right(logits, sorted(each), labels, "mean of probabilities") for each in others)


def test_pareto_and_cheapest_by_brute_force():
    generator = torch.Generator().manual_seed(1)
    for _ in range(50):
        found = [
            Chosen(tuple(range(k)), round(float(v), 2)) for k, v in enumerate(torch.rand(6, generator=generator), 1)
        ]
        kept = [one for one in found if not any(
            len(other.views) < len(one.views) and other.right >= one.right for other in found)]  # fmt: skip
        assert pareto(found) == kept
        close = [one for one in found if one.right >= max(each.right for each in found) - 0.1 - 1e-9]
        assert cheapest(found, 0.1) == min(close, key=lambda one: len(one.views))


def test_a_view_that_turns_the_label_round_is_named_and_a_harmless_one_is_not():
    labels = torch.arange(100) % 2
    straight = torch.nn.functional.one_hot(labels, 2).float() * 4
    flipped, harmless = straight.flip(-1), straight.clone()
    harmless[:2] = harmless[:2].flip(-1)
    (sentence,) = warnings(["as it is", "mirrored", "moved"], torch.stack([straight, flipped, harmless]), labels)
    assert sentence == "mirrored: 100% of the pictures are called something else, and 0.0% are right in place of 100.0%"
    (unsure,) = warnings(["as it is", "mirrored", "moved"], torch.stack([straight, flipped, harmless]), None)
    assert "nobody can tell" in unsure
    assert unsure.startswith("mirrored: 100%")


def test_few_pictures_accuse_nobody():
    labels = torch.tensor([0, 1, 0, 1])
    straight = torch.nn.functional.one_hot(labels, 2).float()
    one_lost = straight.clone()
    one_lost[0] = one_lost[0].flip(-1)
    assert warnings(["as it is", "moved"], torch.stack([straight, one_lost]), labels) == []
