import os
import shutil

import pytest

from lab import home as lab_home
from lab.home import check_space, checked_name, inside, new_run_folder, run_folder


def test_new_runs_have_names_that_sort_in_the_order_they_began(home):
    folders = [new_run_folder() for _ in range(50)]
    names = [folder.name for folder in folders]
    assert names == sorted(set(names))
    assert all(lab_home.ID.fullmatch(name) for name in names)
    assert run_folder(names[7]) == folders[7]
    assert folders[0].parent == home / "runs"


@pytest.mark.parametrize(
    "id", ["", "..", "../runs", "20261122-171233-4f2a/..", "20261122-171233-4F2A", "20261122-171233-4f2a\n", "/etc"]
)
def test_what_is_no_id_never_becomes_a_path(home, id):
    with pytest.raises(ValueError, match="is no run's id"):
        run_folder(id)


def test_an_id_without_a_run_says_where_to_look(home):
    with pytest.raises(ValueError, match="visionarium runs list"):
        run_folder("20261122-171233-4f2a")


def test_a_file_is_served_from_inside_a_folder_only(tmp_path):
    folder = tmp_path / "run"
    (folder / "media").mkdir(parents=True)
    (folder / "media" / "a.png").touch()
    (tmp_path / "secret").touch()
    (folder / "link").symlink_to(tmp_path / "secret")
    assert inside(folder, "media/a.png") == folder / "media" / "a.png"
    for path in ("../secret", str(tmp_path / "secret"), "link", "media", "media/none.png", "media/../../secret"):
        with pytest.raises(ValueError, match="there is no file"):
            inside(folder, path)


def test_names_are_one_printable_line():
    assert checked_name("  blue run ") == "blue run"
    for name in ("two\nlines", "x" * 81, "\x1b[31m"):
        with pytest.raises(ValueError, match="up to 80 printable characters"):
            checked_name(name)


def test_a_full_disk_is_told_before_anything_starts(tmp_path, monkeypatch):
    check_space(tmp_path / "not" / "yet")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 88, 12 << 20))
    with pytest.raises(ValueError, match=r"only 12 MB are free in .* a run needs 256 MB"):
        check_space(tmp_path)


def test_a_home_that_cannot_be_made_says_which_and_what_to_set(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VISIONARIUM_HOME", str(tmp_path / "file"))
    with pytest.raises(ValueError, match="set VISIONARIUM_HOME to one that can"):
        lab_home.home()


def test_the_home_may_be_relative_to_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VISIONARIUM_HOME", "~/lab")
    assert lab_home.home() == tmp_path / "lab"
    monkeypatch.delenv("VISIONARIUM_HOME")
    assert lab_home.home() == tmp_path / ".visionarium"
    assert os.path.isdir(tmp_path / ".visionarium" / "runs")
