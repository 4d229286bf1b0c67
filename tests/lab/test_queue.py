"""What may be done with waiting runs: moves, holds, hurry, turns and limits, as the waiters then act on it."""

import itertools
import json
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from waiting_runs import names, occupy, shown, waits

from lab.runs import line, queue
from lab.runs.line import Line, read_place


def test_moves_do_what_they_say_as_in_a_list_and_outlive_all_supervisors(planned, alive):
    runs = [planned() for _ in range(6)]
    for run in runs:
        waits(run)
    expected, chance = [run.id for run in runs], random.Random(0)
    for _ in range(60):
        run, where = chance.choice(runs), chance.choice(["up", "down", "next"])
        at = expected.index(run.id)
        to = {"up": at - 1, "down": at + 1, "next": 0}[where]
        if to in (-1, 6) or (where == "next" and at == 0):
            with pytest.raises(ValueError, match=f"run {run.id} is already the "):
                queue.move(run.folder, where)
            continue
        queue.move(run.folder, where)
        expected.insert(to, expected.pop(at))
        assert names() == expected
    alive.clear()
    assert shown() == []
    alive.update(run.folder for run in runs)
    for run in chance.sample(runs, 6):
        waits(run)
    assert names() == expected


def test_a_move_between_equal_ranks_tells_them_apart(planned):
    runs = [planned() for _ in range(3)]
    for run in runs:
        (run.folder / "place.json").write_text(json.dumps({"rank": 5.0, "wants": "turn"}))
        waits(run)
    queue.move(runs[2].folder, "up")
    assert names() == [runs[0].id, runs[2].id, runs[1].id]


def test_what_is_held_does_not_start_and_goes_to_its_old_place_when_released(planned):
    first, second = planned(), planned()
    one, two = waits(first), waits(second)
    queue.hold(first.folder)
    assert shown() == [(second.id, 1), (first.id, None)]
    assert one.slot() is None
    with pytest.raises(ValueError, match="is held already"):
        queue.hold(first.folder)
    with pytest.raises(ValueError, match="is held: release it first"):
        queue.move(first.folder, "down")
    waits(first)  # a new supervisor keeps it held
    assert shown() == [(second.id, 1), (first.id, None)]
    queue.release(first.folder)
    assert shown() == [(first.id, 1), (second.id, 2)]
    with pytest.raises(ValueError, match="is not held: it waits for its turn"):
        queue.release(first.folder)
    assert two.slot() is None
    assert one.slot() is not None


def test_now_goes_before_all_turns_and_no_further_than_the_next_free_place(planned):
    runs = [planned(visitor=visitor) for visitor in "aab"]
    waiters = [waits(run) for run in runs]
    with occupy(waiters[0].line.folder / "slot.lock") as busy:
        queue.hold(runs[1].folder)
        queue.hurry(runs[1].folder)
        assert names()[0] == runs[1].id
        assert [waiter.slot() for waiter in waiters] == [None] * 3
        busy.kill()
    assert waiters[0].slot() is None
    assert waiters[1].slot() is not None
    assert read_place(runs[1].folder, runs[1].plan).wants == "turn"


def test_beside_starts_at_once_in_the_one_extra_place(planned):
    runs = [planned() for _ in range(3)]
    waiters = [waits(run) for run in runs]
    with occupy(waiters[0].line.folder / "slot.lock") as busy:
        queue.hurry(runs[1].folder, beside=True)
        queue.hurry(runs[2].folder)
        slot = waiters[1].slot()
        assert slot.lock.path.name == "beside.lock"
        slot.lock.release()
        assert waiters[2].slot() is None
        assert waiters[0].slot() is None
        busy.kill()


def test_two_visitors_take_turns_and_moves_stay_among_ones_own(planned):
    runs = {name: planned(visitor=name[0]) for name in ("a1", "a2", "a3", "b1", "b2")}
    called = {run.id: name for name, run in runs.items()}
    waiters = {name: waits(run) for name, run in runs.items()}
    assert [called[id] for id in names()] == ["a1", "b1", "a2", "b2", "a3"]
    queue.move(runs["a3"].folder, "next")
    assert [called[id] for id in names()] == ["a3", "b1", "a1", "b2", "a2"]
    with pytest.raises(ValueError, match="is already the first"):
        queue.move(runs["b1"].folder, "up")
    started = []
    while waiters:
        name, slot = next((name, slot) for name in itertools.cycle(waiters) if (slot := waiters[name].slot()))
        started.append(name)
        slot.lock.release()
        del waiters[name]
    assert started == ["a3", "b1", "a1", "b2", "a2"]


def test_a_limit_leaves_a_slot_free_rather_than_give_a_visitor_more(planned, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    one, two, other = (waits(planned("cuda", visitor)) for visitor in "aab")
    queue.set_limit("cuda", 1)
    slot = one.slot()
    assert slot.lock.path.name == "slot-0.lock"
    slot.lock.release()
    with occupy(one.line.folder / "slot-0.lock") as busy:
        assert two.slot() is None
        slot = other.slot()
        assert slot.lock.path.name == "slot-1.lock"
        slot.lock.release()
        assert two.slot() is None
        queue.set_limit("cuda", None)
        assert two.slot() is not None
        busy.kill()
    with pytest.raises(ValueError, match="0 runs of one visitor at once cannot be"):
        queue.set_limit("cuda", 0)


def test_only_what_waits_can_be_moved(planned):
    run = planned()
    for act in (queue.hold, queue.release, queue.hurry, lambda folder: queue.move(folder, "up")):
        with pytest.raises(ValueError, match=f"run {run.id} waits in no line"):
            act(run.folder)
    waits(run)
    with pytest.raises(ValueError, match="'sideways' is no way to move; choose up, down, next"):
        queue.move(run.folder, "sideways")


def test_a_line_that_somebody_keeps_locked_is_said(planned, monkeypatch):
    run = planned()
    waits(run)
    monkeypatch.setattr(line, "PATIENCE", 0.1)
    with occupy(Line("cpu").folder / "line.lock") as busy:
        monkeypatch.setattr(line, "holder", lambda path: busy.pid)
        with pytest.raises(ValueError, match=f"the line of cpu is kept locked by process {busy.pid}"):
            queue.hold(run.folder)
        busy.kill()


def test_threads_of_one_process_do_not_lose_each_others_changes(planned):
    runs = [planned() for _ in range(8)]
    for run in runs:
        waits(run)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(queue.hurry, [run.folder for run in runs] * 3))
    tickets = [one.ticket for one in queue.queue()]
    assert sorted(ticket.folder for ticket in tickets) == sorted(str(run.folder) for run in runs)
    assert len({ticket.rank for ticket in tickets}) == 8
    assert {ticket.wants for ticket in tickets} == {"now"}
