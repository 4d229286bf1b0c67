import sys

import pytest
import torch

from engine.timings import augment as timings

EVERY = ["RandAugment", "AutoAugment", "TrivialAugment", "AugMix", "SimCLR"]


def test_every_augmentation_is_timed_at_every_size():
    pytest.importorskip("kornia")
    rows = timings.table(batch=2, sizes=(8, 16), device="cpu", rounds=1)
    assert [(row.augmentation, row.size) for row in rows] == [(name, size) for size in (8, 16) for name in EVERY]
    for row in rows:
        assert row.batch == 2
        assert min(row.ours, row.torchvision) > 0
        assert row.over_torchvision == pytest.approx(row.torchvision / row.ours)
        if row.augmentation != "AugMix":  # which kornia lacks
            assert row.over_kornia == pytest.approx(row.kornia / row.ours)


def test_without_kornia_the_table_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "kornia", None)
    monkeypatch.setitem(sys.modules, "kornia.augmentation", None)
    rows = timings.table(batch=2, sizes=(8,), device="cpu", rounds=1)
    assert [row.augmentation for row in rows] == EVERY
    assert all(row.kornia is None and row.over_kornia is None for row in rows)
    assert "kornia is not installed" in timings.show(rows)


def test_the_number_of_threads_is_put_back():
    threads = torch.get_num_threads()
    timings.table(batch=1, sizes=(8,), device="cpu", rounds=1)
    assert torch.get_num_threads() == threads


def test_nothing_to_time_is_refused():
    with pytest.raises(ValueError, match="batch, rounds: expected 1 or more, got 0 and 1"):
        timings.table(batch=0, rounds=1)
