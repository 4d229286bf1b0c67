"""A picture in 26 manners at once."""

import torch

from engine.bench import Bench, Setup
from engine.data.pictures import picture
from engine.lenses.instant import INSTANT, SMALL
from engine.nets.manners import MANNERS, Manners

CAT = picture("chelsea", 128)[None] / 255


def looked(bench=None, **knobs):
    params = INSTANT.params.make({"size": 64} | knobs)
    return next(INSTANT.answers(torch.nn.Identity(), params, CAT, bench or Bench(Setup(device="cpu"))))


def test_a_picture_is_painted_in_the_manner_that_the_knob_says_and_small_in_all():
    told = looked(manner=3, other=8)
    assert told["painted"].shape == told["picture"].shape == (1, 3, 64, 64)
    assert told["manners"].shape == (MANNERS, 3, SMALL, SMALL)
    assert told["number"] == [str(number) for number in range(1, 27)]
    assert torch.equal(told["painted"], looked(manner=8, other=3, share=1.0)["painted"])
    assert not torch.equal(told["painted"], looked(manner=8)["painted"])
    assert not torch.equal(told["manners"][2], told["manners"][7])


def test_the_manners_are_painted_once_while_the_knobs_move(monkeypatch):
    counted = []
    forward = Manners.forward
    monkeypatch.setattr(Manners, "forward", lambda self, images, mixture: counted.append(len(images)) or forward(
        self, images, mixture
    ))  # fmt: skip
    bench = Bench(Setup(device="cpu"))
    for share in (0.0, 0.5, 1.0):
        looked(bench, share=share)
    assert sorted(counted) == [1, 1, 1, MANNERS]
