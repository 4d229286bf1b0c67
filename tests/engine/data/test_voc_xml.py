"""Pascal VOC's xml."""

import pytest
import torch
from PIL import Image

from engine.data import open_data, voc
from engine.data.base import memory

THING = """<object><name>{name}</name><difficult>{difficult}</difficult>
<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>"""


def write(root, stem, things, size=(40, 30), annotations="Annotations", images="JPEGImages"):
    """One image with things (name, box, difficult)."""
    for folder in (annotations, images):
        (root / folder).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(root / images / f"{stem}.jpg")
    objects = "".join(THING.format(*box, name=name, difficult=int(hard)) for name, box, hard in things)
    xml = f"<annotation><filename>{stem}.jpg</filename><size><width>{size[0]}</width><height>{size[1]}</height></size>"
    (root / annotations / f"{stem}.xml").write_text(f"{xml}{objects}</annotation>")


@pytest.fixture
def devkit(tmp_path):
    write(tmp_path, "000001", [("dog", (1, 1, 40, 30), False), ("person", (5, 6, 10, 12), True)])
    write(tmp_path, "000002", [])
    write(tmp_path, "000003", [("car", ("4.5", 2, 9, 8), False)])
    main = tmp_path / "ImageSets" / "Main"
    main.mkdir(parents=True)
    (main / "train.txt").write_text("000001\n000002\n")
    (main / "val.txt").write_text("000003  1\n")
    return tmp_path


def test_corners_labels_and_difficult(devkit):
    train = open_data(f"voc:{devkit}", size=40)
    assert train.facts.classes == voc.NAMES
    assert voc.NAMES.index("tvmonitor") == 19
    batch = train.batch(torch.arange(2))
    # One-based and inclusive: the whole image is 1, 1, 40, 30.
    assert batch.boxes[0].tolist() == [[0, 0, 40, 30], [4, 5, 10, 12]]
    assert [voc.NAMES[label] for label in batch.box_labels[0]] == ["dog", "person"]
    assert batch.box_ignore[0].tolist() == [False, True]
    assert batch.boxes[1].shape == (0, 4)
    test = open_data(f"voc:{devkit}", "test", size=40).batch(torch.tensor([0]))
    assert test.boxes[0].tolist() == [[3.5, 1, 9, 8]]
    assert batch.semantic is None


def test_other_names_are_sorted_and_xml_may_lie_beside_its_image(tmp_path):
    for number in range(5):
        write(
            tmp_path, str(number), [(("wheel", "axle")[number % 2], (1, 1, 3, 3), False)], annotations=".", images="."
        )
    train, test = open_data(f"voc:{tmp_path}"), open_data(f"voc:{tmp_path}", "test")
    assert train.facts.classes == test.facts.classes == ("axle", "wheel")
    assert (len(train), len(test)) == (4, 1)
    assert len(memory(train)) == 4


@pytest.mark.parametrize(
    ("things", "kind"),
    [
        ([("dog", (1, 1, 42, 30), False)], "box-outside"),
        ([("", (1, 1, 4, 3), False)], "bad-annotation"),
        ([("dog", (1, "x", 4, 3), False)], "bad-annotation"),
    ],
)
def test_wrong_things_are_named(things, kind, devkit):
    write(devkit, "000009", things)
    (fault,) = voc.read(devkit)[1]
    assert fault.kind == kind
    assert "000009.xml, object 1" in fault.where
    with pytest.raises(ValueError, match=r"000009\.xml, object 1"):
        open_data(f"voc:{devkit}")


def test_wrong_files_are_named(devkit):
    folder = devkit / "Annotations"
    (folder / "a.xml").write_text("<annotation><size>")
    (folder / "b.xml").write_text("<annotation></annotation>")
    (folder / "c.xml").write_text("<annotation><size><width>4</width><height>4</height></size></annotation>")
    faults = voc.read(devkit)[1]
    assert [(fault.kind, fault.where.rsplit("/")[-1]) for fault in faults] == [
        ("bad-annotation", "a.xml"), ("bad-annotation", "b.xml"), ("missing-image", "c.xml"),
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"a\.xml.*2 more: run `visionarium data check voc:"):
        open_data(f"voc:{devkit}")


def test_empty_box_is_left_out(devkit):
    write(devkit, "000001", [("dog", (9, 9, 3, 12), False)])
    assert [fault.kind for fault in voc.read(devkit)[1]] == ["empty-box"]
    assert open_data(f"voc:{devkit}").batch(torch.tensor([0])).boxes[0].shape == (0, 4)


def test_missing_list(devkit):
    (devkit / "ImageSets" / "Main" / "val.txt").unlink()
    with pytest.raises(ValueError, match="no list for the test split"):
        open_data(f"voc:{devkit}", "test")
