"""The list is right whatever happens to its copy in SQLite, and spares reading what did not change."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from engine import catalog
from engine.bench import Setup
from engine.folder import Plan, write_state
from lab.runs import all_runs, find, index
from lab.runs.run import plan


@pytest.fixture
def five(home):
    params = catalog.method("toy.patience").params.make({})
    runs = [plan("toy.patience", params, Setup(), f"number {i}") for i in range(5)]
    for i, run in enumerate(runs):
        write_state(run.folder, "done", step=i)
    return runs


def listed():
    return [(run.id, run.plan.name, run.told["step"], run.state) for run in all_runs()]


def expected(runs):
    return [(run.id, f"number {i}", i, "done") for i, run in reversed(list(enumerate(runs)))]


def test_the_list_is_newest_first_and_is_the_same_from_the_copy(five):
    assert listed() == expected(five)
    assert listed() == expected(five)


def test_unchanged_runs_are_not_read_again(five, monkeypatch):
    all_runs()
    read = []
    monkeypatch.setattr(Plan, "read", classmethod(lambda cls, folder: read.append(folder)))
    assert len(all_runs()) == 5
    assert read == []


def test_changed_new_and_deleted_runs_are_seen_at_once(five):
    all_runs()
    write_state(five[2].folder, "failed", step=2, cause="for a reason")
    shutil.rmtree(five[0].folder)
    new = plan("toy.patience", catalog.method("toy.patience").params.make({}), Setup())
    runs = all_runs()
    assert [run.id for run in runs] == [new.id, *(run.id for run in reversed(five[1:]))]
    assert runs[3].told["cause"] == "for a reason"
    with closing(sqlite3.connect(index._path())) as base:
        assert {id for (id,) in base.execute("SELECT id FROM runs")} == {run.id for run in runs}


@pytest.mark.parametrize("content", [b"", b"this is no database", b"SQLite format 3\0" + bytes(2000)])
def test_a_damaged_copy_is_made_again(five, content):
    all_runs()
    for ending in ("-wal", "-shm"):
        index._path().with_name(index._path().name + ending).unlink(missing_ok=True)
    index._path().write_bytes(content)
    assert listed() == expected(five)
    assert listed() == expected(five)
    with closing(sqlite3.connect(index._path())) as base:
        assert base.execute("SELECT COUNT(*) FROM runs").fetchone() == (5,)


def test_a_copy_with_nonsense_in_it_is_made_again(five):
    all_runs()
    with closing(sqlite3.connect(index._path())) as base, base:
        base.execute("UPDATE runs SET plan = 'nonsense'")
    assert listed() == expected(five)


def test_a_deleted_copy_is_made_again(five):
    all_runs()
    index._path().unlink()
    assert listed() == expected(five)
    assert index._path().exists()


def test_a_locked_copy_does_not_hold_up_the_list(five, monkeypatch):
    monkeypatch.setattr(index, "PATIENCE", 0.01)
    all_runs()
    write_state(five[4].folder, "done", step=4, cause="changed")
    with closing(sqlite3.connect(index._path(), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert listed() == expected(five)
    assert listed() == expected(five)


def test_a_home_that_cannot_be_written_is_listed_from_its_folders(five, monkeypatch):
    def refused(*_args, **_kwargs):
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(sqlite3, "connect", refused)
    assert listed() == expected(five)


def test_what_is_no_run_is_left_out(five, home):
    (home / "runs" / "notes").mkdir()
    (home / "runs" / "20260101-000000-0000").mkdir()
    (home / "runs" / "20260101-000000-0001").mkdir()
    (home / "runs" / "20260101-000000-0001" / "run.json").write_text("{")
    assert listed() == expected(five)
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        find("20260101-000000-0001")
    edited = json.loads((five[0].folder / "run.json").read_text())
    edited["setup"]["device"] = "../../elsewhere"  # it would name the folder of a waiting line
    (home / "runs" / "20260101-000000-0001" / "run.json").write_text(json.dumps(edited))
    assert listed() == expected(five)
    with pytest.raises(
        ValueError, match=r"run\.json cannot be: its device is '../../elsewhere'; it must be one of auto"
    ):
        find("20260101-000000-0001")
    with pytest.raises(ValueError, match=r"it has no run\.json"):
        find("20260101-000000-0000")
    assert find(five[0].id).plan.name == "number 0"
