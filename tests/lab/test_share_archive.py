"""A run as one file: what travels, what comes back, and that nothing hostile or torn gets in."""

import errno
import hashlib
import io
import json
import os
import re
import stat
import zipfile

import pytest
from patience_runs import ends, losses

from engine import catalog
from engine.bench import Setup
from engine.folder import read_state, wish, write_state
from engine.record import checkpoints, media
from engine.run import run as carry_out
from lab.checkpoints import open_model
from lab.runs import all_runs
from lab.runs.compare import differences
from lab.runs.run import plan
from lab.share import archive
from lab.share.archive import MANIFEST, export, members, stream
from lab.share.bring import bring


@pytest.fixture
def paused(home):
    """A run of six steps, paused after the third."""
    run = plan("toy.patience", catalog.method("toy.patience").params.make({"steps": 6}), Setup(device="cpu"), "mine")
    assert carry_out(run.folder, lambda step, _: step == 3 and wish(run.folder, "pause")) == "paused"
    (run.folder / "log.txt").write_text("a line\n")
    return run


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """Another home."""

    def move():
        monkeypatch.setenv("VISIONARIUM_HOME", str(tmp_path / "elsewhere"))

    return move


def contents(folder):
    return {name: (folder / name).read_bytes() for name in members(folder)}


def test_a_run_comes_back_byte_for_byte_and_goes_on_as_if_it_had_never_left(paused, tmp_path, elsewhere):
    size = export(paused, tmp_path / "run.zip")
    assert (tmp_path / "run.zip").stat().st_size == size
    before = contents(paused.folder)
    assert {"run.json", "state.json", "provenance.json", "metrics.jsonl", "log.txt"} < before.keys()
    assert carry_out(paused.folder) == "done"
    elsewhere()
    run = bring(tmp_path / "run.zip")
    assert (run.id, run.state, run.plan.name) == (paused.id, "paused", "mine")
    assert contents(run.folder) == before
    assert [one.id for one in all_runs()] == [run.id]
    assert open_model(run).step == 3
    run.resume()
    assert ends(run) == "done"
    assert losses(run) == losses(paused)
    assert not any(row.differs for row in differences(run, paused))


def test_what_is_nobodys_record_stays_at_home(paused, tmp_path):
    (paused.folder / "reserve").write_bytes(b"0")
    (paused.folder / ".state.json.1.tmp").write_bytes(b"0")
    (paused.folder / "control" / "save").touch()
    (paused.folder / "secret.txt").symlink_to("/etc/passwd")
    (paused.folder / "linked").symlink_to("/etc")
    names = set(members(paused.folder))
    assert not names & {"reserve", "live.lock", "control/save", "secret.txt", "linked/hosts.txt"}
    assert all("tmp" not in name for name in names)


def test_without_checkpoints_it_is_looked_at_and_not_resumed_from(paused, tmp_path, elsewhere):
    export(paused, tmp_path / "run.zip", checkpoints=False)
    elsewhere()
    run = bring(tmp_path / "run.zip")
    assert checkpoints(run.folder) == []
    assert len(media(run.folder)) == len(media(paused.folder))


def test_the_same_run_twice_is_refused_and_as_a_copy_is_another(paused, tmp_path):
    export(paused, tmp_path / "run.zip")
    with pytest.raises(ValueError, match=f"run {paused.id} is here already; bring it in as a copy"):
        bring(tmp_path / "run.zip")
    copy = bring(tmp_path / "run.zip", as_copy=True)
    assert copy.id != paused.id
    assert contents(copy.folder) == contents(paused.folder)
    assert {run.id for run in all_runs()} == {copy.id, paused.id}


def test_a_run_from_a_folder_of_its_own_gets_an_id(paused, tmp_path):
    os.rename(paused.folder, tmp_path / "own")
    export(type(paused)(tmp_path / "own"), tmp_path / "run.zip")
    assert bring(tmp_path / "run.zip").plan.name == "mine"


def test_a_name_that_is_taken_is_refused(paused, tmp_path):
    (tmp_path / "run.zip").write_text("mine")
    with pytest.raises(FileExistsError, match="exists already; choose another name"):
        export(paused, tmp_path / "run.zip")
    assert (tmp_path / "run.zip").read_text() == "mine"
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        export(paused, tmp_path / "no" / "run.zip")


def test_a_living_run_is_copied_whole_paused_and_goes_on_there_as_here(home, tmp_path, monkeypatch, elsewhere):
    run = plan("toy.patience", catalog.method("toy.patience").params.make({"steps": 6}), Setup(device="cpu"), "live")
    seen = []

    def meddle(step, _):
        """Copy after step 4, in the middle of a row, and lose the checkpoint of step 1 once the copying has begun."""
        if step == 1:
            wish(run.folder, "save")
        if step == 4:
            with open(run.folder / "metrics.jsonl", "a") as file:
                file.write('{"step": 5, "ti')
            with monkeypatch.context() as now:
                now.setattr(type(run), "state", "running")  # who holds a lock cannot ask for it
                copy = stream(run)
                pieces = [next(copy)]
                seen.extend(path for _, path in checkpoints(run.folder))
                for path in seen:
                    path.unlink()
                (tmp_path / "run.zip").write_bytes(b"".join([*pieces, *copy]))
            with open(run.folder / "metrics.jsonl", "a") as file:
                file.write("\n")

    assert carry_out(run.folder, meddle) == "done"
    assert seen
    there = json.loads(zipfile.ZipFile(tmp_path / "run.zip").read(MANIFEST))
    assert there["state"] == "running"
    elsewhere()
    copy = bring(tmp_path / "run.zip")
    assert copy.state == "paused"
    saved = open_model(copy).step
    assert copy.cause == f"copied while it was running; Resume goes on from its checkpoint of step {saved}"
    assert (copy.folder / "metrics.jsonl").read_bytes().endswith(b"}\n")
    assert [row["step"] for row in copy.series()][-1] >= saved
    copy.resume()
    assert ends(copy) == "done"
    assert losses(copy) == losses(run)


def test_a_living_run_without_a_checkpoint_says_that_it_begins_anew(paused, tmp_path, monkeypatch, elsewhere):
    monkeypatch.setattr(type(paused), "state", "running")
    export(paused, tmp_path / "run.zip", checkpoints=False)
    monkeypatch.undo()
    monkeypatch.setenv("VISIONARIUM_HOME", str(tmp_path / "elsewhere"))
    assert bring(tmp_path / "run.zip").cause.endswith("from its beginning, for it had no checkpoint yet")


def opener(writing, kind):
    """An `open` that gives files of this kind to who wants to write."""
    return lambda path, mode="r", **more: (kind if mode == writing else open)(path, mode, **more)


@pytest.mark.parametrize("room", [0, 1000, 20_000])
def test_a_disk_that_fills_up_leaves_nothing_under_the_name(paused, tmp_path, monkeypatch, room):
    class Full(io.FileIO):
        def write(self, piece):
            if self.tell() + len(piece) > room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(piece)

    monkeypatch.setattr(archive, "open", opener("wb", Full), raising=False)
    with pytest.raises(OSError, match="No space left"):
        export(paused, tmp_path / "run.zip")
    assert {path.name for path in tmp_path.iterdir()} == {"home"}


def test_a_disk_that_fills_up_while_a_run_comes_in_leaves_no_run(paused, tmp_path, monkeypatch, elsewhere):
    export(paused, tmp_path / "run.zip")
    elsewhere()

    class Full(io.FileIO):
        def write(self, piece):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("lab.share.bring.open", opener("xb", Full), raising=False)
    with pytest.raises(OSError, match="No space left"):
        bring(tmp_path / "run.zip")
    assert list((tmp_path / "elsewhere" / "runs").iterdir()) == []


def test_no_room_is_said_before_anything_is_written(paused, tmp_path, monkeypatch, elsewhere):
    export(paused, tmp_path / "run.zip")
    elsewhere()
    monkeypatch.setattr("lab.share.bring.LEAST_FREE", 1 << 60)
    with pytest.raises(ValueError, match="it needs 0 MB"):
        bring(tmp_path / "run.zip")


# Files that somebody made


def packed(files, manifest=None, *, method=zipfile.ZIP_STORED, infos=()):
    """A run's file with these contents, and a manifest that agrees with them unless it is given."""
    rows = [
        {"path": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
    ]
    whole = {"format": archive.FORMAT, "id": "20260101-000000-abcd", "method": "toy.patience", "files": rows}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as bundle:
        for name, data in files.items():
            bundle.writestr(name, data)
        for info, data in infos:
            bundle.writestr(info, data)
        bundle.writestr(MANIFEST, json.dumps(whole | (manifest or {})))
    file.seek(0)
    return file


def sound(**changed):
    """The contents of a small run, with some knobs of run.json changed."""
    told = {"method": "toy.patience", "values": {}, "setup": {}, "created": 1.0, "name": ""} | changed
    return {"run.json": json.dumps(told).encode(), "metrics.jsonl": b'{"step": 1, "time": 0.1, "loss": 2.0}\n'}


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def overlapping():
    """One entry of a megabyte that the directory lists under two names."""
    file = packed(sound() | {"media/1.json": bytes(1 << 20)}).getvalue()
    tail = file.rindex(b"PK\x05\x06")
    directory = int.from_bytes(file[tail + 16 : tail + 20], "little")
    entries = file[directory:tail]
    at = entries.index(b"media/1.json") - 46
    length = 46 + len("media/1.json") + int.from_bytes(entries[at + 30 : at + 32], "little")
    copy = entries[at : at + length].replace(b"media/1.json", b"media/2.json")
    count = int.from_bytes(file[tail + 10 : tail + 12], "little") + 1
    end = bytearray(file[tail:])
    end[8:10] = end[10:12] = count.to_bytes(2, "little")
    end[12:16] = (len(entries) + length).to_bytes(4, "little")
    return io.BytesIO(file[:tail] + copy + bytes(end))


def test_the_small_run_itself_is_brought_in(home):
    run = bring(packed(sound()))
    assert (run.id, run.state, run.series()) == ("20260101-000000-abcd", "lost", run.series())


BAD = {
    "upwards": (lambda: packed(sound() | {"../../evil.json": b"{}"}), "'../../evil.json', which is no file of a run"),
    "absolute": (lambda: packed(sound() | {"/etc/evil.json": b"{}"}), "which is no file of a run"),
    "backslash": (lambda: packed(sound() | {"media\\evil.json": b"{}"}), "which is no file of a run"),
    "hidden": (lambda: packed(sound() | {".bashrc": b""}), "which is no file of a run"),
    "wish": (lambda: packed(sound() | {"control/cancel.json": b""}), "which is no file of a run"),
    "program": (lambda: packed(sound() | {"media/evil.py": b""}), "which is no file of a run"),
    "deep": (lambda: packed(sound() | {"media/a/1.json": b"{}"}), "which is no file of a run"),
    "link": (lambda: packed(sound(), infos=[(link("log.txt"), b"/etc/passwd")]), "log.txt is a link"),
    "compressed": (lambda: packed(sound() | {"log.txt": bytes(1 << 24)}, method=zipfile.ZIP_DEFLATED), "is compressed"),
    "overlapping": (lambda: overlapping(), "overlap"),
    "unlisted": (lambda: packed(sound(), {"files": []}), "lists other files than it holds"),
    "no manifest": (lambda: packed(sound(), {"files": None}), "it has no manifest.json that can be read"),
    "other form": (lambda: packed(sound(), {"format": "visionarium-run-9"}), "this version reads visionarium-run-1"),
    "not a zip": (lambda: io.BytesIO(b"PK but no zip"), "is no run's file, or was cut off"),
    "unknown method": (lambda: packed(sound(method="toy.evil")), "there is no method 'toy.evil'"),
    "method of a path": (lambda: packed(sound(method="../x")), "its method is '../x'"),
    "method of another kind": (lambda: packed(sound(method=3)), "its method is '3'"),
    "name in two lines": (lambda: packed(sound(name="a\nb")), "printable"),
    "name of another kind": (lambda: packed(sound(name=["a"])), "its name is"),
    "device of a path": (lambda: packed(sound(setup={"device": "../../x"})), "its device is '../../x'"),
    "time": (lambda: packed(sound(created=float("nan"))), "its time is 'nan'"),
    "knobs": (lambda: packed(sound(values=[1])), "its knobs is"),
    "no plan": (lambda: packed({"log.txt": b""}), "it has no run.json"),
    "state": (lambda: packed(sound() | {"state.json": b'{"state": "evil"}'}), "its state is 'evil'"),
    "steps": (lambda: packed(sound() | {"state.json": b'{"steps": "many"}'}), "its steps is 'many'"),
    "state list": (lambda: packed(sound() | {"state.json": b"[1]"}), "its state.json is"),
    "series of words": (lambda: packed(sound() | {"metrics.jsonl": b'{"step": 1, "loss": "x"}\n'}), "its number is"),
    "series of lists": (lambda: packed(sound() | {"metrics.jsonl": b"[1]\n"}), "no series of numbers"),
    "huge number": (lambda: packed(sound() | {"metrics.jsonl": b'{"step": 1, "a": 1%s}\n' % (b"0" * 400)}), "number"),
    "no tensors": (lambda: packed(sound() | {"media/1.safetensors": b"x"}), "media/1.safetensors cannot be opened"),
    "no step": (lambda: packed(sound() | {"media/a.safetensors": b"x"}), "is not named by its step"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("what", BAD)
def test_a_hostile_file_is_refused_in_words_and_changes_nothing(home, what):
    make, sentence = BAD[what]
    with pytest.raises(ValueError, match=re.escape(sentence)):
        bring(make())
    assert set(home.rglob("*")) <= {home / "runs"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_and_too_many_files_are_refused(home, monkeypatch):
    with pytest.raises(ValueError, match="it holds a file twice"):
        bring(packed(sound(), infos=[("run.json", b"{}")]))
    monkeypatch.setattr("lab.share.bring.MOST_FILES", 2)
    with pytest.raises(ValueError, match="it holds 3 files; a run's has up to 2"):
        bring(packed(sound()))
    monkeypatch.setattr("lab.share.bring.MOST_FILES", 20)
    monkeypatch.setattr("lab.share.bring.MOST_BYTES", 20)
    with pytest.raises(ValueError, match="larger than allowed"):
        bring(packed(sound()))


@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.99])
def test_a_torn_file_is_refused_wherever_it_was_cut(paused, tmp_path, elsewhere, part):
    whole = b"".join(stream(paused))
    (tmp_path / "torn.zip").write_bytes(whole[: int(len(whole) * part)])
    elsewhere()
    with pytest.raises(ValueError, match=r"torn\.zip is no run's file, or was cut off"):
        bring(tmp_path / "torn.zip")


def test_a_flipped_byte_is_found(paused, tmp_path, elsewhere):
    whole = bytearray(b"".join(stream(paused)))
    at = whole.index((paused.folder / "metrics.jsonl").read_bytes())
    whole[at + 3] ^= 1
    elsewhere()
    with pytest.raises(ValueError, match=r"cut off|damaged"):
        bring(io.BytesIO(whole))


def test_a_hash_of_other_bytes_is_found(home):
    rows = [{"path": name, "bytes": len(data), "sha256": "0" * 64} for name, data in sound().items()]
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        bring(packed(sound(), {"files": rows}))


def test_a_run_that_says_it_runs_is_lost_here(home):
    run = bring(packed(sound() | {"state.json": b'{"state": "running", "step": 1, "steps": 5, "pid": 1}'}))
    assert run.state == "lost"
    write_state(run.folder, "cancelled")
    assert read_state(run.folder)["state"] == "cancelled"
