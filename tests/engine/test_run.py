"""The command behind every run, in this process: wishes, signals, errors, a full disk, torn files."""

import contextlib
import errno
import json
import os
import signal

import pytest
from patience_runs import home  # noqa: F401 - a fixture

from engine import catalog, record
from engine.bench import Setup
from engine.folder import keep_reserve, plan_run, read_state, wish, wishes, write_state
from engine.record import checkpoints, media, rows
from engine.run import explain, run


@pytest.fixture
def planned(home, tmp_path):  # noqa: F811
    def plan(name="run", **knobs):
        folder = tmp_path / name
        params = catalog.method("toy.patience").params.make(knobs)
        plan_run(folder, "toy.patience", params, Setup(device="cpu"))
        return folder

    return plan


def at(step, action):
    return lambda now, _report: action() if now == step else None


def losses(folder):
    return [row["loss"] for row in rows(folder)]


@pytest.mark.parametrize(("asked", "state"), [("cancel", "cancelled"), ("pause", "paused")])
def test_a_wish_to_end_is_granted_after_the_step_with_everything_saved(planned, asked, state):
    folder = planned(steps=6)
    assert run(folder, at(2, lambda: wish(folder, asked))) == state
    assert read_state(folder)["step"] == 2
    assert [step for step, _ in checkpoints(folder)] == [2]
    assert wishes(folder) == set()
    assert run(folder) == "done"
    assert losses(folder) == losses_of_a_whole_run(planned, steps=6)


def losses_of_a_whole_run(planned, **knobs):
    folder = planned("whole", **knobs)
    assert run(folder) == "done"
    return losses(folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_cancels_and_says_which(planned, number):
    folder = planned(steps=6)
    assert run(folder, at(3, lambda: os.kill(os.getpid(), number))) == "cancelled"
    assert read_state(folder)["cause"] == f"stopped by {number.name}; its work is saved"
    assert [step for step, _ in checkpoints(folder)] == [3]
    assert run(folder) == "done"
    assert read_state(folder)["cause"] is None
    assert losses(folder) == losses_of_a_whole_run(planned, steps=6)


@pytest.fixture
def heeded():
    """SIGINT as in a terminal; a process started in the background of a shell ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_second_interrupt_does_not_wait_for_the_save(planned, heeded):
    folder = planned(steps=6)

    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    assert run(folder, at(3, twice)) == "cancelled"
    assert read_state(folder)["cause"] == "stopped by the keyboard, without saving"
    assert checkpoints(folder) == []


def test_signals_act_as_before_once_the_run_is_over(planned):
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    run(planned(steps=2))
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_save_now_keeps_a_checkpoint_and_goes_on(planned):
    folder = planned(steps=4)
    assert run(folder, at(2, lambda: wish(folder, "save"))) == "done"
    assert [step for step, _ in checkpoints(folder)] == [2, 4]


def test_sample_now_stores_the_pictures_of_the_next_step(planned):
    folder = planned(steps=100)
    assert run(folder, at(9, lambda: wish(folder, "sample"))) == "done"
    steps = [step for step, _ in media(folder)]
    assert 10 in steps
    assert len(steps) == 17, "the sixteen looks of a loop and the one that was asked for"


def test_an_error_ends_the_run_with_its_cause_and_leaves_the_checkpoint(planned, capsys):
    folder = planned(steps=6, fail_at=4)
    assert run(folder, at(2, lambda: wish(folder, "save"))) == "failed"
    told = read_state(folder)
    assert told["cause"] == "RuntimeError: this step was told to fail"
    assert told["hint"].startswith("This is a fault in the method")
    assert "Traceback" in capsys.readouterr().err
    assert [step for step, _ in checkpoints(folder)] == [2]


def test_a_full_disk_fails_with_a_sentence_and_the_last_checkpoint_whole(planned, monkeypatch):
    folder = planned(steps=6)
    assert run(folder, at(2, lambda: wish(folder, "pause"))) == "paused"
    kept = checkpoints(folder)[0][1].read_bytes()

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("engine.checkpoint.replace_file", full)
        assert run(folder) == "failed"
    told = read_state(folder)
    assert told["hint"] == "The disk is full: free some space, then resume. The last checkpoint is whole."
    assert [path.read_bytes() for _, path in checkpoints(folder)] == [kept]
    assert run(folder) == "done"
    assert losses(folder) == losses_of_a_whole_run(planned, steps=6)


def test_an_ending_is_told_out_of_the_reserve_when_the_disk_is_full(planned, monkeypatch):
    folder = planned()

    def full_but_for_the_reserve(path, content):
        if (folder / "reserve").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path.write_bytes(content)

    keep_reserve(folder)
    monkeypatch.setattr("engine.folder.replace_file", full_but_for_the_reserve)
    with pytest.raises(OSError, match="No space left"):
        write_state(folder, "running")
    assert (folder / "reserve").exists(), "news that can wait does not use it up"
    write_state(folder, "failed", cause="told")
    assert read_state(folder)["cause"] == "told"


def test_a_torn_checkpoint_is_named_and_the_earlier_one_is_used(planned, capsys):
    folder = planned(steps=8)
    run(folder, at(2, lambda: wish(folder, "pause")))
    run(folder, at(5, lambda: wish(folder, "pause")))
    (_, _), (step, torn) = checkpoints(folder)
    torn.write_bytes(torn.read_bytes()[:-7])
    first = []
    assert run(folder, lambda now, _report: first.append(now)) == "done"
    assert (step, first[0]) == (5, 3)
    assert "use an earlier one" in capsys.readouterr().err
    assert losses(folder) == losses_of_a_whole_run(planned, steps=8)


def test_a_line_that_was_torn_is_passed_over_and_the_series_goes_on(planned):
    folder = planned(steps=6)
    run(folder, at(3, lambda: wish(folder, "pause")))
    with open(folder / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"step": 4, "los')
    assert run(folder) == "done"
    assert losses(folder) == losses_of_a_whole_run(planned, steps=6)


def test_merging_lines_piece_by_piece_is_merging_them_at_once():
    course = ({"step": 1, "a": 1}, {"step": 2, "a": 2}, {"step": 2, "b": 3}, {"resume": 1}, {"step": 2, "a": 4})
    lines = [json.dumps(row) for row in course]
    pieces = {}
    for line in lines:
        pieces = record.merge_rows([line], pieces)
    assert pieces == record.merge_rows(lines) == {1: {"step": 1, "a": 1}, 2: {"step": 2, "a": 4}}


@pytest.mark.parametrize(
    "lines", [['{"a": 1'], ['{"a": "', '{"a": 2}'], ["[", "{}", "]"], ['{"a": 1}', "", '{"b": 2}'], []]
)
def test_many_lines_at_once_are_each_line_alone(lines):
    alone = []
    for line in lines:
        with contextlib.suppress(json.JSONDecodeError):
            alone.append(json.loads(line))
    assert record.parse_lines(lines) == alone


@pytest.mark.parametrize(
    ("error", "cause", "hint"),
    [
        (RuntimeError("CUDA out of memory. Tried to"), "RuntimeError: CUDA out of memory. Tried to", "lower batch"),
        (MemoryError(), "MemoryError: ", "lower batch"),
        (OSError(errno.ENOSPC, "No space left"), "OSError: [Errno 28] No space left", "free some space"),
        (FloatingPointError("loss became nan"), "loss became nan", "learning rate"),
        (ValueError("batch: 9 is more\nthan"), "batch: 9 is more", ""),
    ],
)
def test_causes_are_one_line_with_what_to_do(error, cause, hint):
    said, advice, _ = explain(error)
    assert said == cause
    assert hint in advice
