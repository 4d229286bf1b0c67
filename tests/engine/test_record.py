import json

import numpy as np
import pytest
import torch
from torch import nn

from engine import record as recording
from engine.checkpoint import Checkpoint, CheckpointError, pack, read_checkpoint, unpack, write_checkpoint
from engine.data.base import Facts
from engine.record import (
    MILESTONES,
    Record,
    checkpoints,
    media,
    milestones,
    most_crowded,
    read_values,
    rows,
    write_values,
)  # fmt: skip

FACTS = Facts(3, 8, ("cat", "dog"))


def a_checkpoint(step=1, state=None):
    return Checkpoint("wing.some", {"steps": 3}, FACTS, step, {"w": torch.arange(4.0)}, state)


def test_any_optimiser_state_survives_packing():
    net = nn.Linear(3, 2)
    for make in (
        lambda p: torch.optim.Adam(p, 0.1, amsgrad=True),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
        lambda p: torch.optim.LBFGS(p, 0.1, max_iter=2),
    ):
        optimizer = make(net.parameters())

        def closure(optimizer=optimizer):
            optimizer.zero_grad()
            loss = net(torch.ones(1, 3)).square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        tensors = {}
        tree = json.loads(json.dumps(pack(optimizer.state_dict(), tensors)))
        fresh = make(net.parameters())
        fresh.load_state_dict(unpack(tree, tensors))
        again, other = pack(fresh.state_dict(), {}), pack(optimizer.state_dict(), {})
        assert again == other


def test_packing_refuses_what_json_and_tensors_cannot_hold():
    with pytest.raises(TypeError, match="not set"):
        pack({"a": {1, 2}}, {})


def test_a_checkpoint_round_trip(tmp_path):
    path = tmp_path / "c.safetensors"
    state = {"at": (0, 2), "keep": [{"state": {0: {"m": torch.ones(2)}}}], "none": None}
    write_checkpoint(path, a_checkpoint(7, state))
    read = read_checkpoint(path, with_state=True)
    assert (read.method, read.params, read.facts, read.step) == ("wing.some", {"steps": 3}, FACTS, 7)
    assert read.state["at"] == (0, 2)
    assert torch.equal(read.state["keep"][0]["state"][0]["m"], torch.ones(2))
    assert read_checkpoint(path).state is None


def test_torn_missing_and_foreign_checkpoints_are_told_apart(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "c.safetensors"
    with pytest.raises(CheckpointError, match="there is no checkpoint at"):
        read_checkpoint(path)
    write_checkpoint(path, a_checkpoint())
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="cannot be opened as a checkpoint"):
        read_checkpoint(path)
    save_file({"w": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match="no run's checkpoint"):
        read_checkpoint(path)


def test_a_disk_that_refuses_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, a_checkpoint(1))

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_checkpoint(path, a_checkpoint(2))
    assert read_checkpoint(path).step == 1
    assert [file.name for file in tmp_path.iterdir()] == ["c.safetensors"]


def test_values_round_trip_with_pictures_as_bytes(tmp_path):
    path = tmp_path / "v.safetensors"
    picture = torch.rand(2, 3, 4, 5)
    values = {"picture": picture, "scores": torch.randn(7), "labels": torch.arange(3), "names": ["a", "b"], "one": 0.5}
    write_values(path, values, {"lens": "x"})
    read, note = read_values(path)
    assert note == {"lens": "x"}
    assert read["picture"].dtype == np.uint8
    assert np.abs(read["picture"] / 255 - picture.numpy()).max() <= 0.5 / 255 + 1e-6
    assert np.array_equal(read["scores"], values["scores"].numpy())
    assert read["labels"].dtype.kind == "i"
    assert read["names"] == ["a", "b"]
    assert float(read["one"]) == 0.5


def test_heat_maps_of_three_images_keep_their_numbers(tmp_path):
    maps = torch.rand(3, 4, 5)
    write_values(tmp_path / "v.safetensors", {"heat": maps})
    assert np.array_equal(read_values(tmp_path / "v.safetensors")[0]["heat"], maps.numpy())


def test_rows_after_a_resume_replace_the_cancelled_ones_and_half_a_row_is_left(tmp_path):
    with Record(tmp_path) as record:
        for step in (1, 2, 3):
            record.write(step, {"loss": torch.tensor(float(step)), "views": torch.rand(1, 1, 2, 2)}, media=True)
        record.write(3, {"extra": 5}, media=False)
    assert [row["loss"] for row in rows(tmp_path)] == [1, 2, 3]
    assert rows(tmp_path)[-1]["extra"] == 5
    with Record(tmp_path, resume=2, seconds=10.0) as record:
        assert [step for step, _ in media(tmp_path)] == [1, 2]
        record.write(3, {"loss": 30.0}, media=False)
    assert [row["loss"] for row in rows(tmp_path)] == [1, 2, 30]
    assert rows(tmp_path)[-1]["time"] >= 10
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 4, "lo')
    assert [row["step"] for row in rows(tmp_path)] == [1, 2, 3]


def test_an_error_takes_no_rows_with_it_and_is_not_hidden_by_another(tmp_path):
    record = Record(tmp_path)
    record.write(1, {"loss": 2.0}, media=False)
    record.write(2, {"loss": float("nan")}, media=False)
    with pytest.raises(RuntimeError, match="no luck"), record:
        raise RuntimeError("no luck")
    assert [row["loss"] for row in rows(tmp_path)] == [2.0, None]


def test_who_begins_anew_cancels_what_is_there(tmp_path):
    for loss in (1.0, 5.0):
        with Record(tmp_path) as record:
            assert rows(tmp_path) == []
            record.write(3, {"loss": loss}, media=False)
        (tmp_path / "media" / ".00000003.safetensors.77.tmp").touch()
    assert [row["loss"] for row in rows(tmp_path)] == [5.0]


def test_a_loss_that_is_not_finite_ends_the_run_and_is_named(tmp_path):
    record = Record(tmp_path)
    record.write(1, {"loss": 1.0, "ap": float("nan")}, media=False)
    record.write(2, {"teacher/loss": torch.tensor(float("inf"))}, media=False)
    with pytest.raises(FloatingPointError, match="teacher/loss became inf at step 2"):
        record.flush()
    assert rows(tmp_path)[0]["ap"] is None


def test_the_last_two_checkpoints_are_kept(tmp_path):
    record = Record(tmp_path)
    for step in (1, 2, 3):
        record.save(a_checkpoint(step))
    assert [step for step, _ in checkpoints(tmp_path)] == [2, 3]


def test_milestones_stay_evenly_spread_however_long_it_goes_on(tmp_path):
    with Record(tmp_path) as record:
        for i in range(17):
            record.mark(a_checkpoint(100 * i))
    assert [step for step, _ in milestones(tmp_path)] == list(range(0, 1601, 200))
    assert torch.equal(read_checkpoint(milestones(tmp_path)[3][1]).weights["w"], torch.arange(4.0))
    assert checkpoints(tmp_path) == [], "a run does not resume from a milestone"


@pytest.mark.parametrize("pace", [1, 7])
def test_no_gap_between_milestones_is_more_than_thrice_another(pace):
    kept = []
    for step in range(0, 2000 * pace, pace):
        kept.append(step)
        if len(kept) > MILESTONES:
            del kept[most_crowded(kept)]
        gaps = np.diff(kept[:-1])
        assert len(gaps) < 2 or gaps.max() <= 3 * gaps.min(), kept
        assert (kept[0], kept[-1]) == (0, step)


def test_heavy_weights_are_no_milestones_and_a_resume_takes_back_the_later_ones(tmp_path, monkeypatch):
    with Record(tmp_path) as record:
        for step in (0, 5, 9):
            record.mark(a_checkpoint(step))
    with Record(tmp_path, resume=5) as record:
        monkeypatch.setattr(recording, "LIGHT", 15)
        record.mark(a_checkpoint(6))
    assert [step for step, _ in milestones(tmp_path)] == [0, 5]
