"""The cosine schedule: its corners, its middle, and as a factor of torch's LambdaLR."""

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR

from engine.ops.schedule import cosine


def test_corners_and_middle():
    assert cosine(0, 100, warmup=10) == 0
    assert cosine(5, 100, warmup=10, start=0.2) == pytest.approx(0.6)
    assert cosine(10, 100, warmup=10) == 1
    assert cosine(55, 100, warmup=10, final=0.1) == pytest.approx(0.55)
    assert cosine(100, 100, final=0.1) == 0.1
    assert cosine(1000, 100, final=0.1) == 0.1
    assert cosine(0, 10) == 1
    assert cosine(10, 10, warmup=10) == 0


def test_agrees_with_torch():
    def rates(make):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
        scheduler = make(optimizer)
        values = []
        for _ in range(20):
            values.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return values

    ours = rates(lambda optimizer: LambdaLR(optimizer, lambda step: cosine(step, 20, final=0.1)))
    assert ours == pytest.approx(rates(lambda optimizer: CosineAnnealingLR(optimizer, 20, eta_min=0.03)))


def test_never_rises_after_warmup():
    values = [cosine(step, 50, warmup=7, final=0.05) for step in range(60)]
    assert values[:8] == sorted(values[:8])
    assert values[7:] == sorted(values[7:], reverse=True)


@pytest.mark.parametrize(
    ("arguments", "name"), [((-1, 10), "step"), ((0, 0), "total"), ((0, 10, 11), "warmup"), ((0, 10, -1), "warmup")]
)
def test_bad_input(arguments, name):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        cosine(*arguments)
