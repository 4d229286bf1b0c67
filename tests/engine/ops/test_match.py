"""The matcher against the rule spelt out, torchvision, and its worked example."""

import pytest
import torch
from torchvision.models.detection._utils import Matcher

from engine.ops.match import BACKGROUND, IGNORED, match

EXAMPLE = torch.tensor([[0.6, 0.45, 0.1, 0.0, 0.3], [0.2, 0.3, 0.0, 0.0, 0.35]])


def slow_match(overlaps: torch.Tensor, high: float, low: float, rescue: bool) -> list[int]:
    table, answer = overlaps.tolist(), []
    for anchor in range(overlaps.shape[1]):
        column = [row[anchor] for row in table]
        best = max(column)
        rescued = rescue and any(row[anchor] == max(row) > 0 for row in table)
        positive = best >= high or rescued
        answer.append(column.index(best) if positive else BACKGROUND if best < low else IGNORED)
    return answer


def test_worked_example():
    assert match(EXAMPLE, 0.5, 0.4, rescue=False).tolist() == [0, -2, -1, -1, -1]
    assert match(EXAMPLE, 0.5, 0.4).tolist() == [0, -2, -1, -1, 1]
    changed = EXAMPLE.clone()
    changed[0, 4] = 0.38
    assert match(changed, 0.5, 0.4).tolist() == [0, -2, -1, -1, 0]


@pytest.mark.parametrize("rescue", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_the_rule_and_with_torchvision(seed, rescue):
    # Twentieths: plenty of ties and of values on the thresholds.
    generator = torch.Generator().manual_seed(seed)
    overlaps = torch.randint(1, 20, (4, 60), generator=generator) / 20
    ours = match(overlaps, 0.5, 0.4, rescue)
    best = overlaps.max(0).values
    # The index among equal objects is open; the overlap it stands for is not.
    expected = torch.tensor(slow_match(overlaps, 0.5, 0.4, rescue))
    for answer in (expected, Matcher(0.5, 0.4, allow_low_quality_matches=rescue)(overlaps)):
        assert torch.equal(ours.clamp(max=0), answer.clamp(max=0))
        positive = answer >= 0
        torch.testing.assert_close(overlaps[ours[positive], positive.nonzero()[:, 0]], best[positive])


def test_an_object_that_touches_nothing_rescues_nothing():
    overlaps = torch.zeros(2, 5)
    overlaps[0, 1] = 0.3
    assert match(overlaps, 0.5, 0.4).tolist() == [-1, 0, -1, -1, -1]


def test_no_objects_are_all_background():
    assert match(torch.zeros(0, 3), 0.5, 0.4).tolist() == [BACKGROUND] * 3
    assert match(torch.zeros(2, 0), 0.5, 0.4).tolist() == []


def test_bad_thresholds_and_shapes():
    with pytest.raises(ValueError, match=r"low=0\.6, high=0\.5"):
        match(EXAMPLE, 0.5, 0.6)
    with pytest.raises(ValueError, match=r"\(objects, anchors\)"):
        match(EXAMPLE[0], 0.5, 0.4)
