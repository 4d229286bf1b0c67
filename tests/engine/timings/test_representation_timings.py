"""The table beside lightly: that both sides do the same work, and what it says."""

import sys

import pytest
import torch

from engine.bench import Bench, Setup
from engine.timings import peers, representation
from engine.timings.representation import Row
from engine.timings.turns import in_turns

pytest.importorskip("lightly")
CPU = torch.device("cpu")


@pytest.fixture
def bench():
    return Bench(Setup(device="cpu"))


def test_nt_xent_is_the_same_loss_on_both_sides():
    pair = peers.contrast(6, 5, CPU)
    assert pair.ours().item() == pytest.approx(pair.peer().item(), rel=1e-5)


def test_the_masked_autoencoders_paint_the_same_before_and_after_a_step(bench):
    knobs = {"size": 16, "patch": 4, "batch": 3, "width": 16, "depth": 2, "decoder_width": 16}
    pair = peers.mae_step(knobs, bench, "MAE")
    first = pair.ours().item()
    assert pair.peer().item() == pytest.approx(first, rel=1e-4)
    # targets and normalisation have no weights; what is trained on each side is its own
    assert pair.peer().item() < first


@pytest.mark.parametrize("steps", [peers.simclr_steps, peers.swav_steps])
def test_steps_are_nearly_the_same_loss_from_the_same_weights(bench, steps):
    """Not to rounding: views go through batch norm together here, and one after the other at lightly."""
    pair, with_views = steps(peers.Size("small", 16, 16, 16), bench)
    assert pair.ours().item() == pytest.approx(pair.peer().item(), rel=0.1)
    assert with_views.what.endswith(("views and step", "crops and step"))
    assert all(work().isfinite() for work in (with_views.ours, with_views.peer))


def test_the_table_has_a_row_for_each_pair(monkeypatch):
    pairs = [peers.Pair("one", 4, lambda: sum(range(99)), lambda: sum(range(99_999)))]
    monkeypatch.setattr(representation, "pairs", lambda bench, batch: pairs)
    (row,) = representation.table(device="cpu", rounds=3)
    assert (row.what, row.batch, row.device) == ("one", 4, "cpu, one thread")
    assert row.ratio == pytest.approx(row.peer / row.ours)


def test_what_is_shown():
    told = representation.show([Row("NT-Xent", 512, "cpu, one thread", 10.0, 25.0)])
    assert "10.0 ms" in told
    assert "2.50x" in told
    assert "On a CPU" in told
    assert "On a CPU" not in representation.show([Row("NT-Xent", 512, "NVIDIA H100", 10.0, 25.0)])


def test_without_lightly_a_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightly.loss", None)
    with pytest.raises(ValueError, match=r"lightly is not installed.*pip install lightly"):
        representation.table(device="cpu", rounds=1)


def test_nothing_to_time_is_refused():
    with pytest.raises(ValueError, match="batch: expected 2 or more, got 1"):
        representation.table(batch=1)
    with pytest.raises(ValueError, match="rounds: expected 1 or more, got 0"):
        in_turns({}, 0, CPU)


def test_works_take_turns_and_the_seldom_sit_out():
    did = []
    in_turns({"a": lambda: did.append("a"), "b": lambda: did.append("b")}, 5, CPU, seldom={"b"})
    assert "".join(did) == "ab" + "ab" + "a" * 3 + "ab"
