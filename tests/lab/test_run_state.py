"""The true state of a run, and what may be asked of it, without starting any."""

import json
import os
import subprocess
import sys

import pytest

from engine import catalog, clock
from engine.bench import Setup
from engine.folder import Plan, plan_run, wish, wishes, write_state
from lab.runs import ENDED, LIVE, Run, executors
from lab.runs import state as states
from lab.runs.compare import differences
from lab.runs.run import plan
from lab.runs.state import derive, ending_words, true_state


@pytest.fixture
def planned(home):
    def make(name="", setup=None, **knobs):
        params = catalog.method("toy.patience").params.make(knobs)
        return plan("toy.patience", params, Setup.make(setup or {}), name)

    return make


@pytest.fixture
def hold():
    """Hold a run's lock in another process."""
    code = (
        "import sys, time, pathlib; from engine.lock import Lock; lock = Lock(pathlib.Path(sys.argv[1])); "
        "print(lock.take(), flush=True); time.sleep(60)"
    )
    processes = []

    def start(run):
        command = [sys.executable, "-c", code, run.folder / "live.lock"]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert processes[-1].stdout.readline() == "True\n"
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("state", sorted(LIVE))
def test_what_says_it_lives_without_a_holder_is_lost(state):
    assert derive({"state": state}, False, set(), 0) == "lost"


@pytest.mark.parametrize("state", sorted(ENDED))
def test_an_ending_is_believed_once_nobody_holds_the_lock(state):
    assert derive({"state": state}, False, set(), 0) == state
    assert derive({"state": state}, True, set(), 0) in LIVE


@pytest.mark.parametrize(
    ("told", "wished", "shown"),
    [
        ("running", {"cancel"}, "cancelling"),
        ("queued", {"pause"}, "pausing"),
        ("running", {"cancel", "pause"}, "cancelling"),
        ("running", {"save", "sample"}, "running"),
        ("cancelled", set(), "cancelling"),
        ("paused", set(), "pausing"),
        ("done", set(), "running"),
        ("starting", set(), "starting"),
    ],
)
def test_a_wish_shows_until_it_is_granted_and_the_process_gone(told, wished, shown):
    assert derive({"state": told}, True, wished, 0) == shown


def test_a_run_that_was_just_planned_waits_and_is_lost_when_no_supervisor_comes():
    assert derive({}, False, set(), 1.0) == "queued"
    assert derive({}, False, set(), 11.0) == "lost"
    assert derive({}, True, set(), 1e9) == "queued"


def test_a_process_that_got_the_same_number_does_not_make_a_dead_run_live(planned):
    run = planned()
    write_state(run.folder, "running", pid=os.getpid())
    (run.folder / "live.lock").touch()
    assert run.state == "lost"
    assert "without a word" in run.cause
    assert run.hint


def test_a_run_lives_while_another_process_holds_its_lock(planned, hold):
    run = planned()
    holding = hold(run)
    write_state(run.folder, "running")
    assert (run.state, run.live) == ("running", True)
    run.cancel()
    assert run.state == "cancelling"
    holding.kill()
    holding.wait()
    assert run.state == "lost"


def test_a_run_that_ends_or_starts_between_two_looks_is_not_lost(planned, monkeypatch):
    run = planned()
    write_state(run.folder, "running")

    def ends_meanwhile(path):
        monkeypatch.setattr(states, "holder", lambda path: None)
        write_state(run.folder, "done")

    def looks():
        monkeypatch.setattr(states, "read_state", lambda folder, told={"state": "running"}: told)
        monkeypatch.setattr(states, "holder", lambda path: starts.pop())

    monkeypatch.setattr(states, "holder", ends_meanwhile)
    assert true_state(run.folder) == "done"
    starts = [4711, None]
    looks()
    assert true_state(run.folder) == "running"


def test_a_damaged_state_file_counts_as_none(planned):
    run = planned()
    (run.folder / "state.json").write_bytes(b'{"state": "run')
    assert run.told == {}
    assert run.state == "queued"


def test_what_is_told_is_read_anew_when_it_changes(planned):
    run = planned()
    assert run.told == {}
    for step in (1, 2, 3):
        write_state(run.folder, "running", step=step)
        assert run.told["step"] == step


def test_wishes_come_at_their_time_or_are_refused_with_a_sentence(planned, hold):
    run = planned()
    for told in sorted(ENDED):
        write_state(run.folder, told)
        for ask in (run.cancel, run.pause, run.save_now, run.sample_now):
            with pytest.raises(ValueError, match=f"run {run.id} is {told}: "):
                ask()
    write_state(run.folder, "done")
    with pytest.raises(ValueError, match="is done: there is nothing to resume"):
        run.resume()
    hold(run)
    write_state(run.folder, "running")
    with pytest.raises(ValueError, match="is running: cancel it first"):
        run.delete()
    with pytest.raises(ValueError, match="is running: there is nothing to resume"):
        run.resume()
    run.save_now()
    run.sample_now()
    run.pause()
    assert wishes(run.folder) == {"save", "sample", "pause"}


@pytest.mark.parametrize(
    ("told", "seconds", "words"),
    [
        ({}, 0.4, "leaving the line, asked 0 s ago"),
        ({"state": "queued"}, 2, "leaving the line, asked 2 s ago"),
        ({"state": "running"}, 3, "finishing its step, asked 3 s ago; SIGTERM follows in 7 s"),
        ({"state": "cancelling"}, 3, "saving, asked 3 s ago; SIGTERM follows in 7 s"),
        ({"state": "pausing"}, 12, "saving, asked 12 s ago; SIGTERM was sent, SIGKILL follows in 18 s"),
        (
            {"state": "starting"},
            1,
            "ending before its first step, asked 1 s ago; SIGTERM was sent, SIGKILL follows in 29 s",
        ),
        ({"state": "running"}, 31, "asked 31 s ago; SIGKILL was sent, its process is not gone yet"),
        ({"state": "paused"}, 2, "saved, asked 2 s ago; its process is leaving"),
    ],
)
def test_what_an_ending_run_waits_for_is_said(told, seconds, words):
    assert ending_words(told, seconds) == words


def test_the_first_asking_counts_and_nothing_is_said_once_it_ended(planned, hold):
    run = planned()
    assert run.ending == ""
    holding = hold(run)
    write_state(run.folder, "running")
    assert run.ending == ""
    run.pause()
    (run.folder / "control" / "pause").write_text(earlier(5))
    run.pause()
    run.cancel()
    assert run.ending == "finishing its step, asked 5 s ago; SIGTERM follows in 5 s"
    holding.kill()
    holding.wait()
    assert run.ending == ""


def test_only_a_waiting_run_has_a_place(planned):
    run = planned()
    write_state(run.folder, "done")
    for ask in (lambda: run.move("up"), run.hold, run.release, run.now):
        with pytest.raises(ValueError, match=f"run {run.id} is done: only a waiting run "):
            ask()


def earlier(seconds):
    """The stamp of a moment that was so many seconds ago."""
    now, boot = clock.stamp().split(" ")
    return f"{float(now) - seconds} {boot}"


def test_a_moment_of_another_start_of_the_machine_or_to_come_cannot_be_measured_from():
    assert 4.9 < clock.since(earlier(5)) < 60
    for stamp in (earlier(-5), earlier(5)[:-1] + "?", "", "nonsense", "nan"):
        assert clock.since(stamp) is None


def test_a_plan_counts_as_new_for_ten_seconds_whatever_its_date(planned):
    run = planned()
    told = json.loads((run.folder / "run.json").read_text())
    for moment, created, state in (
        (told["moment"], 9e9, "queued"),
        (earlier(9), 0, "queued"),
        (earlier(11), 9e9, "lost"),
    ):
        (run.folder / "run.json").write_text(json.dumps(told | {"moment": moment, "created": created}))
        assert run.state == state


def test_a_wish_on_a_full_disk_counts_without_its_time(planned, hold):
    run = planned()
    hold(run)
    write_state(run.folder, "running")
    (run.folder / "control" / "pause").touch()
    assert run.ending == "finishing its step, asked 0 s ago; SIGTERM follows in 10 s"


def test_resuming_forgets_the_wishes_of_before(planned, monkeypatch):
    run = planned()
    write_state(run.folder, "cancelled")
    wish(run.folder, "cancel")
    submitted = []
    monkeypatch.setattr(executors.Local, "submit", lambda self, folder: submitted.append((folder, wishes(folder))))
    run.resume()
    assert submitted == [(run.folder, set())]


def test_delete_throws_away_a_run_of_the_home_only(planned, tmp_path):
    run = planned()
    write_state(run.folder, "done")
    run.delete()
    assert not run.folder.exists()
    assert list(run.folder.parent.iterdir()) == []
    params = catalog.method("toy.patience").params.make({})
    plan_run(tmp_path / "elsewhere", "toy.patience", params, Setup())
    write_state(tmp_path / "elsewhere", "done")
    with pytest.raises(ValueError, match="outside the lab's home"):
        Run(tmp_path / "elsewhere").delete()


def test_the_log_is_read_from_its_end(planned):
    run = planned()
    assert run.log_tail() == []
    (run.folder / "log.txt").write_text("".join(f"line {i}\n" for i in range(5000)))
    assert run.log_tail(2) == ["line 4998", "line 4999"]
    (run.folder / "log.txt").write_bytes(b"\xff not text\n")
    assert run.log_tail() == ["\ufffd not text"]


def test_differences_come_first(planned):
    one, two = planned(steps=3), planned(steps=4, setup={"seed": 7})
    rows = differences(one, two)
    assert [(row.name, row.values) for row in rows if row.differs] == [("steps", (3, 4)), ("seed", (0, 7))]
    assert [row.differs for row in rows] == sorted((row.differs for row in rows), reverse=True)
    assert {row.name for row in rows} >= {"method", "data", "batch", "device"}
    assert not any(row.differs for row in differences(one, one))


def test_a_knob_that_only_one_run_has_differs(planned):
    one, two = planned(), planned()
    changed = json.loads((two.folder / "run.json").read_text())
    changed["values"]["extra"] = None
    changed["values"]["other"] = 1
    (two.folder / "run.json").write_text(json.dumps(changed))
    assert [row.name for row in differences(one, Run(two.folder)) if row.differs] == ["other"]


def test_a_plan_that_cannot_be_leaves_no_folder(home, monkeypatch):
    params = catalog.method("toy.patience").params.make({})
    with pytest.raises(ValueError, match="printable"):
        plan("toy.patience", params, Setup(), "two\nlines")
    assert list((home / "runs").glob("*")) == []


def test_a_plan_from_before_there_were_visitors_is_read(planned):
    run = planned()
    told = json.loads((run.folder / "run.json").read_text())
    assert told.pop("visitor") == ""
    (run.folder / "run.json").write_text(json.dumps(told))
    assert Plan.read(run.folder).visitor == ""
