"""What labels are worth, as it is told: curves against the shipped runs, and lines between points by hand."""

import json
import math

import pytest
import torch

from engine.assets import asset
from engine.lenses import label_curves
from engine.lenses.label_curves import EVERY, LABELS, SWEEP, WAYS, at, curves, worth
from engine.methods.semi.fine_tuning import METHOD


class Model(torch.nn.Module):
    params = METHOD.params.make({})


def looked(**knobs):
    return list(LABELS.answers(Model(), LABELS.params.make(knobs), None, None))[-1]


def test_a_line_between_points_and_nothing_beyond_them():
    assert at(1.5, [1, 2, 4], [10, 20, 0]) == 15
    assert at(3, [1, 2, 4], [10, 20, 0]) == 10
    assert at(2, [1, 2, 4], [10, 20, 0]) == 20
    assert at(5, [1, 2, 4], [10, 20, 0]) is None
    assert at(0.6, [0.5, 0.7, 0.6], [1, 2, 3]) == pytest.approx(1.5), "the first time that it is reached"


def test_what_labels_are_worth_is_read_off_the_other_line():
    labels = torch.tensor([10, 100, 1000])
    tuned, scratch = torch.tensor([0.5, 0.7, 0.8]), torch.tensor([0.3, 0.5, 0.8])
    assert worth(labels, tuned, scratch, 10) == pytest.approx((0.5, 0.3, 100))
    ours, theirs, many = worth(labels, tuned, scratch, 100)
    assert (ours, theirs) == pytest.approx((0.7, 0.5))
    assert math.log10(many) == pytest.approx(2 + 0.2 / 0.3, rel=1e-5)
    assert worth(labels, tuned + 0.1, scratch, 1000)[2] is None


def test_the_curves_and_the_table_are_the_shipped_runs():
    kept, last = json.loads(asset(SWEEP).read_text("utf-8")), looked()
    cells = [(count, start) for count in kept["grid"]["labels"] for start in kept["grid"]["start"]]
    right = {cell: sum(runs) / len(runs) for cell, runs in zip(cells, kept["figures"], strict=True)}
    read = {cell: sum(runs) / len(runs) for cell, runs in zip(cells, kept["also"]["probe"], strict=True)}
    for row, count in enumerate(kept["grid"]["labels"]):
        assert last["labels"][row] == (count or EVERY)
        assert last["from SimCLR, tuned: right"][row].item() == pytest.approx(right[count, "representation.simclr"])
        assert last["from scratch: right"][row].item() == pytest.approx(right[count, "random"])
        assert last["from SimCLR, linear probe: right"][row].item() == pytest.approx(
            read[count, "representation.simclr"]
        )
    for name in WAYS:
        assert torch.equal(last[name][:, 1], last[f"{name}: right"])
        torch.testing.assert_close(10 ** last[name][:, 0], last["labels"].float())


def test_the_command_and_the_ready_sweep_say_what_was_run():
    kept = json.loads(asset(SWEEP).read_text("utf-8"))
    ready = METHOD.sweeps[0]
    assert {name: tuple(values) for name, values in kept["grid"].items()} == dict(ready.grid)
    assert kept["values"] == METHOD.params.make(ready.values).model_dump(mode="json")
    told = " ".join(line.removesuffix(" \\") for line in looked()["command"])
    assert told.startswith("visionarium sweep semi.fine_tuning --grid labels=20,50,200,1000,0 start=random,")


def test_what_is_said_follows_the_curves(monkeypatch):
    labels = torch.tensor([20, EVERY])

    def told(tuned, scratch):
        lines = dict(
            zip(WAYS, (torch.tensor(tuned), torch.zeros(2), torch.tensor(scratch), torch.zeros(2)), strict=True)
        )
        monkeypatch.setattr(label_curves, "curves", lambda kept: (labels, lines))
        return looked(labels=20)["in_words"]

    assert told([0.5, 0.9], [0.5, 0.9])[1] == "To have learned without labels first gains nothing here."
    assert told([0.95, 0.9], [0.5, 0.9])[1] == "From scratch, all 10,000 labels do not come as far."
    first, second, third, _ = told([0.7, 0.9], [0.5, 0.9])
    assert first == "With 20 labels: 0.700 tuned from SimCLR, 0.500 from scratch."
    assert second == "To come as far from scratch takes about 450 labels."
    assert third == "Tuning gains +20.0 points over scratch with 20 labels, +0.0 with all."


def test_all_labels_are_those_of_the_training_pictures():
    kept = json.loads(asset(SWEEP).read_text("utf-8"))
    assert curves(kept)[0][-1] == EVERY
