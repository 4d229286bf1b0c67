"""The shipped files: whole, small enough, and none without a licence."""

import json

import pytest

from engine.assets import ROOT, Asset, asset, faults, manifest, record, strays


@pytest.fixture
def shelf(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.txt").write_text("one")
    (tmp_path / "licences").mkdir()
    (tmp_path / "licences" / "MIT.txt").write_text("Permission is hereby granted")
    (tmp_path / "MANIFEST.json").write_text("[]")
    record([Asset("a/one.txt", "here", "MIT", "me", "a note")], tmp_path)
    return tmp_path


def test_every_shipped_file_is_whole_and_has_a_licence():
    rows = manifest()
    assert faults() == []
    assert strays() == []
    assert all(row.licence and row.source for row in rows)
    text = (ROOT / "LICENSES.md").read_text("utf-8")
    assert all(f"| {row.file} |" in text and row.sha256 in text for row in rows)


def test_data_and_weights_stay_within_their_budget():
    kinds = (
        "classification/",
        "photos/",
        "cutouts/",
        "styles/",
        "segmentation/",
        "video/",
        "text/",
        "glyphs/",
        "weights/",
    )
    assert sum(row.bytes for row in manifest() if row.file.startswith(kinds)) <= 24e6


def test_record_measures_and_writes_both_lists(shelf):
    (row,) = manifest(shelf)
    # SHA-256 of the three letters "one", from coreutils' sha256sum.
    assert row.sha256 == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert row.bytes == 3
    text = (shelf / "LICENSES.md").read_text()
    assert "| a/one.txt | here; a note | MIT | me | 3 |" in text
    assert "Permission is hereby granted" in text
    before = (shelf / "MANIFEST.json").read_bytes(), text
    record(root=shelf)
    assert ((shelf / "MANIFEST.json").read_bytes(), (shelf / "LICENSES.md").read_text()) == before


def test_faults_name_what_is_missing_or_altered(shelf):
    assert faults(shelf) == []
    (shelf / "a" / "one.txt").write_text("two")
    assert [found[:2] for found in faults(shelf)] == [("a/one.txt", "is not the file that was recorded")]
    (shelf / "a" / "one.txt").unlink()
    assert [found[:2] for found in faults(shelf)] == [("a/one.txt", "is missing")]


def test_nothing_ships_without_a_row(shelf):
    (shelf / "stray.bin").write_bytes(b"?")
    assert strays(shelf) == ["stray.bin"]
    with pytest.raises(ValueError, match=r"no source and licence recorded for stray\.bin"):
        record(root=shelf)
    assert len(json.loads((shelf / "MANIFEST.json").read_text())) == 1


def test_missing_asset_says_how_to_get_it_back():
    with pytest.raises(FileNotFoundError, match="git checkout"):
        asset("photos/none.jpg")
