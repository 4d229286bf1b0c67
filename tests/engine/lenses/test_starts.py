"""The sweep over starts as it is told: gains against loops, and a command that says what was run."""

import json

import pytest
import torch

from engine.assets import asset
from engine.lenses.starts import STARTS, SWEEP, WAYS, command, gains, said
from engine.methods.semi.self_training import METHOD


class Model(torch.nn.Module):
    params = METHOD.params.make({})


def looked(**knobs):
    return list(STARTS.answers(Model(), STARTS.params.make(knobs), None, None))[-1]


def test_gains_are_differences_cell_by_cell():
    teacher, student = torch.rand(2, 3, 3), torch.rand(2, 3, 3)
    starts = ["supervised", "random", "self-supervised"]
    by_self, by_start, both = gains(teacher, student, starts, "self-supervised", "supervised")
    for m in range(2):
        for count in range(3):
            t, s = teacher[m, count].tolist(), student[m, count].tolist()
            assert by_self[m, count].item() == pytest.approx(100 * (s[0] - t[0]), abs=1e-3)
            assert by_start[m, count].item() == pytest.approx(100 * (t[2] - t[1]), abs=1e-3)
            assert both[m, count].item() == pytest.approx(100 * (s[2] - s[1]), abs=1e-3)


@pytest.mark.parametrize("pretraining", ["supervised", "self-supervised"])
def test_the_maps_and_the_table_are_the_shipped_runs(pretraining):
    kept = json.loads(asset(SWEEP).read_text("utf-8"))
    right = {}
    cells = ((m, count, way) for m in kept["grid"]["m"] for count in kept["grid"]["labelled"]
             for way in kept["grid"]["start"])  # fmt: skip
    for cell, student, teacher in zip(cells, kept["figures"], kept["also"]["teacher_accuracy"], strict=True):
        right["student", *cell], right["teacher", *cell] = sum(student) / len(student), sum(teacher) / len(teacher)
    last = looked(pretraining=pretraining, m=14)
    rows = 0
    for i, m in enumerate(kept["grid"]["m"]):
        for j, count in enumerate(kept["grid"]["labelled"]):
            gained = right["student", m, count, "random"] - right["teacher", m, count, "random"]
            assert last["student less teacher"][j, i].item() == pytest.approx(100 * gained, abs=1e-3)
            ahead = right["teacher", m, count, pretraining] - right["teacher", m, count, "random"]
            assert last["pre-trained less random teacher"][j, i].item() == pytest.approx(100 * ahead, abs=1e-3)
            for way in WAYS:
                assert last[f"student, {way}"][rows].item() == pytest.approx(right["student", m, count, way])
            assert last["labels a class"][rows] == count
            rows += 1
    assert torch.equal(last["self-training"][:, 1], last["student less teacher"][:, -1]), "15 is the nearest to 14"


def test_the_command_and_the_ready_sweep_say_what_was_run():
    kept = json.loads(asset(SWEEP).read_text("utf-8"))
    (ready,) = METHOD.sweeps
    assert {name: tuple(values) for name, values in kept["grid"].items()} == dict(ready.grid)
    assert kept["values"] == METHOD.params.make(ready.values).model_dump(mode="json")
    lines = command(kept, METHOD.params.make({}).model_dump(mode="json"))
    assert all(line.endswith(" \\") for line in lines[:-1])
    told = " ".join(line.removesuffix(" \\") for line in lines)
    for name, value in ready.values.items():
        assert f"--{name.replace('_', '-')} {value}" in told
    assert "--grid m=0,5,15 labelled=5,20,100,400 start=random,supervised,self-supervised" in told


def test_what_is_said_counts_the_cells():
    by_self, by_start = torch.tensor([[1.0, -2.0], [3.0, 0.5]]), torch.tensor([[1.0, -2.0], [-3.0, -0.5]])
    kept = {"figures": [[0.5, 0.7]] * 4, "date": "2026-01-02"}
    first, least, most, measured = said(kept, by_self, by_start, ["M 0", "M 5"], [5, 20], 2)
    assert first == "Self-training gains in 3 of 4 cells, pre-training in 1."
    assert "5 labels a class and M 0: self-training +1.0, pre-training +1.0 points" in least
    assert "20 labels a class and M 5: self-training +0.5, pre-training -0.5 points" in most
    assert "2026-01-02: 2 runs a cell" in measured
    assert "varies by 14.1 points" in measured
    assert "1 run a cell, a point or two may be chance" in said(kept, by_self, by_start, ["", ""], [5, 20], 1)[-1]
