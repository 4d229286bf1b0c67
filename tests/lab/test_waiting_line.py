"""Who waits for a device gets it in the order of the line; the dead do not hold it up, and it survives its file."""

import itertools
import json
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine import catalog
from engine.bench import Setup
from engine.lock import holder
from lab.runs import line, queue
from lab.runs.line import Line, Waiter, gpus, line_of, read_place
from lab.runs.run import plan


@pytest.fixture
def alive(monkeypatch):
    """The folders whose runs live."""
    living = set()

    def alive(path):
        return (1 if path.parent in living else None) if path.name == "live.lock" else holder(path)

    monkeypatch.setattr(line, "holder", alive)
    return living


@pytest.fixture
def planned(home, alive):
    def make(device="cpu", visitor=""):
        params = catalog.method("toy.patience").params.make({})
        run = plan("toy.patience", params, Setup(device=device), visitor=visitor)
        alive.add(run.folder)
        return run

    return make


def waits(run):
    return Waiter(run.folder, run.plan)


def shown():
    """The ids of the runs in the line, in order, with their positions."""
    return [(one.folder.name, one.position) for one in queue.queue()]


def names():
    return [id for id, _ in shown()]


def occupy(path):
    code = (
        "import sys, time, pathlib; from engine.lock import Lock; lock = Lock(pathlib.Path(sys.argv[1])); "
        "print(lock.take(), flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "True\n"
    return process


def test_the_first_planned_goes_first_whoever_asks_first(planned):
    runs = [planned() for _ in range(3)]
    third, first, second = waits(runs[2]), waits(runs[0]), waits(runs[1])
    assert shown() == [(run.id, place) for place, run in enumerate(runs, 1)]
    assert third.slot() is None
    assert second.slot() is None
    slot = first.slot()
    assert slot is not None
    slot.lock.release()  # this process is all three: its own locks would not keep it out
    assert third.slot() is None
    assert second.slot() is not None
    assert shown() == [(runs[2].id, 1)]


def test_a_dead_run_and_one_that_gave_up_do_not_hold_up_the_line(planned, alive):
    dead, gave_up, last = planned(), planned(), planned()
    waits(dead)
    waits(gave_up).leave()
    mine = waits(last)
    assert mine.slot() is None, "the first lives, and is watched from now on"
    alive.remove(dead.folder)
    assert shown() == [(last.id, 1)]
    assert mine.slot() is not None
    assert shown() == []


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


def test_places_are_kept_when_the_file_of_the_line_is_deleted_or_damaged(planned):
    runs = [planned() for _ in range(3)]
    waiters = [waits(run) for run in runs]
    queue.move(runs[2].folder, "next")
    for content in (None, b"{", b'{"waiting": 3}'):
        path = waiters[0].line._path
        path.unlink() if content is None else path.write_bytes(content)
        assert shown() == []
        assert [waiter.slot() for waiter in waiters] == [None] * 3
        assert names() == [runs[2].id, runs[0].id, runs[1].id]


def test_a_move_between_equal_ranks_tells_them_apart(planned):
    runs = [planned() for _ in range(3)]
    for run in runs:
        (run.folder / "place.json").write_text(json.dumps({"rank": 5.0, "wants": "turn"}))
        waits(run)
    queue.move(runs[2].folder, "up")
    assert names() == [runs[0].id, runs[2].id, runs[1].id]


@pytest.mark.parametrize("content", ["", "{}", '{"rank": "x", "wants": "turn"}', "[]"])
def test_a_damaged_place_counts_as_never_moved(planned, content):
    run = planned()
    (run.folder / "place.json").write_text(content)
    ticket = read_place(run.folder, run.plan)
    assert (ticket.rank, ticket.wants) == (run.plan.created, "turn")


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


def test_devices_have_lines_of_their_own(planned, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    on_cpu, on_gpu = waits(planned("cpu")), waits(planned("cuda"))
    assert (on_cpu.line.name, on_gpu.line.name) == ("cpu", "cuda")
    assert on_gpu.slot().environment == {"CUDA_VISIBLE_DEVICES": "0"}
    assert on_cpu.slot().environment == {}


def test_a_machine_with_two_gpus_runs_two_at_once_each_bound_to_its_own(planned, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-a/1/0,GPU-b")
    one, two = waits(planned("cuda")), waits(planned("cuda"))
    folder = one.line.folder
    with occupy(folder / "slot-MIG-a-1-0.lock") as first:
        slot = one.slot()
        assert slot.environment == {"CUDA_VISIBLE_DEVICES": "GPU-b"}
        slot.lock.release()
        with occupy(folder / "slot-GPU-b.lock") as second:
            assert two.slot() is None
            second.kill()
        assert two.slot().environment == {"CUDA_VISIBLE_DEVICES": "GPU-b"}
        first.kill()


def test_the_gpus_are_those_that_are_visible(monkeypatch):
    for visible, found in (("0,2", ["0", "2"]), ("", []), ("-1", []), ("MIG-1/2/3", ["MIG-1/2/3"])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert gpus() == found


def test_auto_waits_where_the_engine_will_compute(planned, monkeypatch):
    run = planned("auto")
    monkeypatch.setattr(line.sys, "platform", "linux")
    assert line_of(run.plan) == "cpu"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert line_of(run.plan) == "cuda"
