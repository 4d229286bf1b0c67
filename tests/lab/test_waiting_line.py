"""Who waits for a device gets it in the order of the line; the dead do not hold it up, and it survives its file."""

import pytest
from waiting_runs import names, occupy, shown, waits

from lab.runs import line, queue
from lab.runs.line import gpus, line_of, read_place


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


@pytest.mark.parametrize("content", ["", "{}", '{"rank": "x", "wants": "turn"}', "[]"])
def test_a_damaged_place_counts_as_never_moved(planned, content):
    run = planned()
    (run.folder / "place.json").write_text(content)
    ticket = read_place(run.folder, run.plan)
    assert (ticket.rank, ticket.wants) == (run.plan.created, "turn")


def test_on_a_full_disk_a_run_goes_on_waiting_and_holds_no_slot(planned, monkeypatch):
    waiter = waits(planned())

    def full(*_what):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(line, "replace_file", full)
        assert waiter.slot() is None
        with occupy(waiter.line.folder / "slot.lock") as other:  # it could be taken: it was given back
            other.kill()
        waiter.leave()
    assert waiter.slot() is not None


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


def test_a_run_of_two_ranks_waits_for_two_gpus_and_gets_both(planned, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    for ranks, bound in ((2, "1,2"), (4, None)):
        waiter = waits(planned("cuda", ranks=ranks))
        other = occupy(waiter.line.folder / "slot-0.lock")
        try:
            slot = waiter.slot()
            assert (slot.environment if slot else None) == (bound and {"CUDA_VISIBLE_DEVICES": bound})
            if slot:
                assert set(waiter.line.lineup().slots) == {"slot-1", "slot-2"}
                slot.release()
        finally:
            other.kill()
            other.communicate()
    assert waiter.slot().environment == {"CUDA_VISIBLE_DEVICES": "0,1,2"}, "never more than there are"


def test_ranks_of_the_cpu_need_one_place(planned):
    assert waits(planned("cpu", ranks=8)).slot().environment == {}


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
