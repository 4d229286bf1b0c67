"""The batch that would fit, from injected numbers; and what the machine says of memory."""

import mmap

import pytest
from torch import nn

from engine import memory
from engine.memory import Use, advice, batch_that_fits

MB = 1 << 20


@pytest.mark.parametrize(
    ("batch", "peak", "fixed", "room", "fits"),
    [
        (64, 7400, 1000, 4000, 24),  # 100 MB an image: (3600 - 1000) / 100 = 26, down to a multiple of 8
        (8, 1800, 1000, 2000, 8),  # (1800 - 1000) / 100
        (8, 9000, 1000, 2000, 0),  # 1000 MB an image, and 800 are left
        (8, 9000, 5000, 2000, 0),  # the fixed part alone is too much
        (8, 1000, 1000, 2000, 8),  # nothing grows with the batch: nothing is known
        (64, 1064, 1000, 100_000, 88_992 // 8 * 8 + 8),  # 1 MB an image, and 89 000 are left
    ],
)
def test_the_batch_that_fits_is_what_is_left_by_what_an_image_needs(batch, peak, fixed, room, fits):
    use = Use(peak * MB, fixed * MB, room * MB)
    assert batch_that_fits(batch, use) == fits
    assert not 1 < fits < 10**4 or use.at(batch, fits) <= memory.SHARE * use.room


@pytest.mark.parametrize(("ranks", "fits"), [(1, 24), (2, 24), (3, 24), (4, 24), (5, 25), (7, 21), (27, 0)])
def test_the_batch_that_fits_can_be_shared_evenly(ranks, fits):
    use = Use(7400 * MB, 1000 * MB, 4000 * MB, ranks)  # for 26 there is room
    assert batch_that_fits(64, use) == fits
    assert advice({"batch": 64}, use)[1] == ({"batch": fits} if fits else {})


def test_a_larger_fixed_part_never_suggests_a_larger_batch():
    found = [batch_that_fits(64, Use(8000, fixed, 5000)) for fixed in range(0, 4500, 100)]
    assert found == sorted(found, reverse=True)


def test_advice_says_the_arithmetic_and_suggests_half_at_most():
    says, instead = advice({"batch": 64}, Use(7400 * MB, 1000 * MB, 4000 * MB))
    assert says == "Not enough memory: batch 64 needs more than 7,400 MB of 4,000 MB. Batch 24 needs about 3,400 MB."
    assert instead == {"batch": 24}
    assert advice({"batch": 64}, Use(4000 * MB, 1000 * MB, 4000 * MB))[1] == {"batch": 32}, "the step had wanted more"
    says, instead = advice({"batch": 4}, Use(9000 * MB, 8000 * MB, 4000 * MB))
    assert "no smaller one fits: lower size" in says
    assert instead == {}
    assert advice({"ways": 5}, Use(2, 1, 1)) == advice({"batch": 4}) == ("Not enough memory: lower batch or size.", {})


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has", 2560 * MB),
        ("CUDA out of memory. Tried to allocate 20.00 MiB.", 20 * MB),
        ("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4000 bytes. Error code 12", 4000),
        ("out of memory", 0),
    ],
)
def test_what_was_asked_for_is_read_from_the_error(said, size):
    assert memory.asked(RuntimeError(said)) == size


def test_the_fixed_part_is_what_is_used_and_three_times_what_is_trained(monkeypatch):
    monkeypatch.setattr(memory, "used", lambda device: 10_000)
    model = nn.Sequential(nn.Linear(10, 10, bias=False), nn.Linear(10, 10, bias=False))
    model[1].requires_grad_(False)
    assert memory.fixed_part(model, "cpu") == 10_000 + 3 * 400
    assert memory.fixed_part(model, "cuda") == 10_000 + 2 * 400 + 3 * 400


def test_this_process_and_this_machine_are_measured():
    before = memory.used("cpu")
    held = mmap.mmap(-1, 64 * MB)  # fresh pages: a tensor may get what this process held and gave up before
    for _ in range(64):
        held.write(b"1" * MB)
    assert 60 * MB < memory.used("cpu") - before < 80 * MB
    assert memory.peak("cpu") >= memory.used("cpu") - 8 * MB
    assert memory.room("cpu") > memory.available() > 0
    assert memory.room("cpu", 2) < memory.room("cpu")
    held.close()
