"""Self-distillation against loops, lightly, closed forms; the centre; BYOL's distance; what is refused."""

import math

import pytest
import torch

from engine.losses.self_distillation import moved_centre, opinion, self_distillation, spreads, unit_regression

CENTRE = torch.linspace(-1, 1, 5)


def rows(seed, crops=4):
    dice = torch.Generator().manual_seed(seed)
    return [torch.randn(6, 5, generator=dice) for _ in range(crops)]


def test_it_is_the_sum_that_the_paper_writes():
    student, teacher = rows(0), rows(1, 2)
    terms = []
    for t in range(2):
        for s in set(range(4)) - {t}:
            for b in range(6):
                p = ((teacher[t][b] - CENTRE) / 0.04).exp()
                q = (student[s][b] / 0.1).exp()
                terms.append(-sum((p[k] / p.sum() * (q[k] / q.sum()).log()).item() for k in range(5)))
    assert len(terms) == 6 * 2 * (4 - 1)
    found = self_distillation(student, teacher, CENTRE, 0.1, 0.04)
    assert found.item() == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_it_is_that_of_lightly_and_the_centre_moves_alike():
    lightly = pytest.importorskip("lightly.loss")
    theirs = lightly.DINOLoss(5, student_temp=0.1, center_momentum=0.9)
    centre = torch.zeros(5)
    for seed in range(3):
        student, teacher = rows(seed), rows(seed + 10, 2)
        expected = theirs(teacher, student, teacher_temp=0.04)
        torch.testing.assert_close(self_distillation(student, teacher, centre, 0.1, 0.04), expected)
        centre = moved_centre(centre, teacher, 0.9)
        torch.testing.assert_close(centre, theirs.center.flatten())


def test_of_no_opinion_it_is_the_logarithm_of_the_classes():
    even = [torch.zeros(6, 5)] * 3
    assert self_distillation(even, even[:2], torch.zeros(5), 0.1, 0.04).item() == pytest.approx(math.log(5))


def test_what_is_added_to_all_scores_of_the_teacher_and_to_the_centre_changes_nothing():
    student, teacher, added = rows(0), rows(1, 2), torch.randn(5)
    one = self_distillation(student, teacher, CENTRE, 0.1, 0.04)
    two = self_distillation(student, [each + added for each in teacher], CENTRE + added, 0.1, 0.04)
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


def test_nothing_flows_into_the_teacher():
    student, teacher = ([each.requires_grad_() for each in rows(seed, 2)] for seed in (0, 1))
    self_distillation(student, teacher, CENTRE, 0.1, 0.04).backward()
    assert teacher[0].grad is None
    assert student[0].grad.abs().sum() > 0


def test_the_centre_of_constant_scores_comes_to_them_by_the_powers_of_the_momentum():
    scores, centre = torch.arange(5.0).expand(6, 5), torch.zeros(5)
    for n in range(1, 6):
        centre = moved_centre(centre, [scores, scores], 0.9)
        torch.testing.assert_close(centre, (1 - 0.9**n) * scores[0])


def test_distances_of_unit_vectors_are_those_of_a_loop_and_have_their_ends():
    predictions, targets = rows(0, 3), rows(1, 2)
    terms = [
        ((p[b] / p[b].norm() - t[b] / t[b].norm()) ** 2).sum().item()
        for place, t in enumerate(targets)
        for other, p in enumerate(predictions)
        if other != place
        for b in range(6)
    ]
    assert unit_regression(predictions, targets).item() == pytest.approx(sum(terms) / len(terms), rel=1e-5)
    one = rows(0, 1)[0]
    assert unit_regression([one, one * 3], [one * 2]).item() == pytest.approx(0, abs=1e-6)
    assert unit_regression([one, -one], [one]).item() == pytest.approx(4)


def test_entropies_tell_both_collapses_from_health():
    cases = {"healthy": torch.eye(4), "one class": torch.eye(4)[:1].expand(4, 4), "even": torch.full((4, 4), 0.25)}
    found = {name: [float(each) for each in spreads(opinions)] for name, opinions in cases.items()}
    log = math.log(4)
    assert found["healthy"] == pytest.approx([0, log])
    assert found["one class"] == pytest.approx([0, 0])
    assert found["even"] == pytest.approx([log, log])


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (lambda: self_distillation(rows(0), rows(1, 1), CENTRE, 0.1, 0.04), "2 large crops or more, got 1"),
        (lambda: self_distillation(rows(0), rows(1, 2), CENTRE, 0.1, 0.0), "temperature: expected more than 0"),
        (lambda: self_distillation(rows(0), rows(1, 2), CENTRE, -1.0, 0.1), "temperature: expected more than 0"),
        (lambda: opinion(torch.zeros(6, 1), torch.zeros(1), 0.1), r"2 classes or more, got shape \(6, 1\)"),
        (lambda: moved_centre(CENTRE, rows(0, 2), 1.5), "momentum: expected 0 to 1, got 1.5"),
        (lambda: unit_regression(rows(0, 1), rows(1, 1)), "got 1 and 1"),
        (lambda: unit_regression(rows(0, 2), []), "got 0 and 2"),
    ],
)
def test_what_cannot_be_is_said(work, said):
    with pytest.raises(ValueError, match=said):
        work()
