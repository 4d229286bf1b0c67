"""`check` finds every seeded fault, names it, says what to do, and never raises; and what it calls good can be read."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from engine.data import open_data
from engine.data.base import memory
from engine.data.check import MOST, check
from engine.data.scan import duplicates, looks


def photo(seed, size=(60, 48)):
    """A smooth picture of its own."""
    noise = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(noise, size[::-1], mode="bicubic").clamp(0, 1)[0]
    return Image.fromarray((smooth * 255).byte().permute(1, 2, 0).numpy())


def save(path, seed, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    photo(seed).save(path, **options)
    return path


@pytest.fixture
def animals(tmp_path):
    """A sound set: two splits, three classes."""
    seed = 0
    for split, count in (("train", 6), ("val", 2)):
        for name in ("bird", "cat", "dog"):
            for number in range(count):
                save(tmp_path / split / name / f"{number}.jpg", seed)
                seed += 1
    return tmp_path


def kinds(faults, path=None):
    return {fault.kind for fault in faults if path is None or str(path) in fault.where}


def test_a_sound_set_has_no_fault_and_can_be_read(animals):
    assert check(f"folder:{animals}") == []
    assert check(f"unlabelled:{animals}") == []
    for split in ("train", "test"):
        memory(open_data(f"folder:{animals}", split, 16))


def zero_byte(root):
    (root / "train" / "cat" / "x.jpg").write_bytes(b"")
    return "zero-byte", root / "train" / "cat" / "x.jpg", True


def truncated(root):
    path = root / "val" / "dog" / "0.jpg"
    path.write_bytes(path.read_bytes()[:-400])
    return "unreadable", path, True


def text_as_jpeg(root):
    path = root / "train" / "dog" / "x.jpeg"
    path.write_text("<html>404</html>")
    return "unreadable", path, True


def bad_link(root):
    path = root / "train" / "dog" / "x.png"
    path.symlink_to(root / "nowhere.png")
    return "unreadable", path, True


def stray_file(root):
    path = root / "train" / "dog" / "labels.csv"
    path.write_text("a,b")
    return "not-an-image", path, False


def empty_class(root):
    for split in ("train", "val"):
        (root / split / "ant").mkdir()
    return "empty-class", root / "train" / "ant", False


def class_only_in_training(root):
    shutil.rmtree(root / "val" / "bird")
    return "class-order", root / "val", False


def class_only_in_test(root):
    save(root / "val" / "eel" / "0.jpg", 900)
    return "unknown-class", root / "val" / "eel", True


def class_in_another_case(root):
    (root / "val" / "cat").rename(root / "val" / "Cat")
    return "unknown-class", root / "val" / "Cat", True


def tiny_class(root):
    for number in range(3):
        (root / "train" / "bird" / f"{number}.jpg").unlink()
    return "tiny-class", root / "train" / "bird", False


def empty_split(root):
    for file in (root / "val").rglob("*.jpg"):
        file.unlink()
    return "empty-split", root, True


def cmyk(root):
    path = root / "train" / "cat" / "x.jpg"
    photo(901).convert("CMYK").save(path)
    return "cmyk", path, False


def sixteen_bit_grey(root):
    path = root / "train" / "cat" / "x.png"
    Image.fromarray(np.arange(60 * 48, dtype=np.uint16).reshape(48, 60) * 20).save(path)
    return "16-bit", path, False


def rotated(root):
    exif = Image.Exif()
    exif[274] = 6
    return "exif-rotated", save(root / "train" / "cat" / "x.jpg", 902, exif=exif), False


def transparent(root):
    path = root / "train" / "cat" / "x.png"
    photo(903).convert("RGBA").save(path)
    return "alpha", path, False


def animated(root):
    path = root / "train" / "cat" / "x.gif"
    photo(904).save(path, save_all=True, append_images=[photo(905)])
    return "animated", path, False


def copied_into_test(root):
    shutil.copy(root / "train" / "cat" / "0.jpg", root / "val" / "cat" / "copy.jpg")
    return "duplicate", root / "val" / "cat" / "copy.jpg", False


def saved_again_in_test(root):
    path = root / "val" / "cat" / "again.jpg"
    Image.open(root / "train" / "cat" / "1.jpg").resize((42, 33)).save(path, quality=60)
    return "near-duplicate", path, False


def in_two_classes(root):
    shutil.copy(root / "train" / "cat" / "2.jpg", root / "train" / "dog" / "2b.jpg")
    return "two-labels", root / "train" / "dog" / "2b.jpg", False


def circle_of_links(root):
    path = root / "train" / "dog" / "loop"
    path.symlink_to(root / "train", target_is_directory=True)
    return "symlink-loop", path, False


def mixed_sizes(root):
    photo(906, (300, 300)).save(root / "train" / "dog" / "x.png")
    return "mixed-sizes", root, False


SEEDED = [
    zero_byte, truncated, text_as_jpeg, bad_link, stray_file, empty_class, class_only_in_training, class_only_in_test,
    class_in_another_case, tiny_class, empty_split, cmyk, sixteen_bit_grey, rotated, transparent, animated,
    copied_into_test, saved_again_in_test, in_two_classes, circle_of_links, mixed_sizes,
]  # fmt: skip


@pytest.mark.parametrize("seed", SEEDED, ids=lambda seed: seed.__name__)
def test_each_seeded_fault_is_found_by_itself(seed, animals):
    kind, where, stops = seed(animals)
    faults = check(f"folder:{animals}")
    assert kind in kinds(faults, where)
    (fault,) = [fault for fault in faults if fault.kind == kind and fault.where.startswith(str(where))]
    assert fault.stops == stops
    assert fault.sentence
    assert fault.fix
    assert fault.fix not in fault.sentence
    # `stops` is no opinion: the set can be read if and only if nothing that stops was found.
    try:
        for split in ("train", "test"):
            memory(open_data(f"folder:{animals}", split, 16))
        readable = True
    except ValueError:
        readable = False
    assert readable != any(each.stops for each in faults)


def test_all_seeded_faults_at_once(animals):
    """None hides another, as far as they can stand together."""
    apart = {class_in_another_case, empty_split, class_only_in_training}
    seeded = []
    for place, seed in enumerate(each for each in SEEDED if each not in apart):
        kind, where, _ = seed(animals)
        if where.name.startswith("x."):  # give each its own name
            renamed = where.with_name(f"{place}-{where.name}")
            where.rename(renamed)
            where = renamed
        seeded.append((kind, where))
    faults = check(f"folder:{animals}")
    assert len(seeded) == 18
    for kind, where in seeded:
        assert kind in kinds(faults, where), (kind, where)
    stopping = [fault.stops for fault in faults]
    assert stopping == sorted(stopping, reverse=True)


def test_class_order_tells_the_shift(animals):
    class_only_in_training(animals)
    (fault,) = check(f"folder:{animals}")
    assert "lacks the classes bird" in fault.sentence
    assert "call cat 0 here and 1 in training" in fault.sentence
    (animals / "val" / "bird").mkdir()
    assert check(f"folder:{animals}") == []


def test_misspelt_class_names_the_one_meant(animals):
    class_in_another_case(animals)
    (fault,) = [fault for fault in check(f"folder:{animals}") if fault.kind == "unknown-class"]
    assert "cat was meant?" in fault.sentence


def test_16_bit_colour_is_seen(tmp_path):
    import cv2

    wide = np.random.default_rng(0).integers(0, 65536, (20, 20, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "wide.png"), wide)
    cv2.imwrite(str(tmp_path / "wide.tiff"), wide)
    faults = check(f"unlabelled:{tmp_path}")
    assert kinds(faults, "wide.png") >= {"16-bit"}
    assert kinds(faults, "wide.tiff") & {"16-bit", "unreadable"}


def test_many_faults_of_one_kind_are_counted(tmp_path):
    for number in range(MOST + 7):
        (tmp_path / f"{number:02}.jpg").write_bytes(b"")
    faults = check(f"unlabelled:{tmp_path}")
    assert [fault.kind for fault in faults].count("zero-byte") == MOST + 1
    assert "7 more files" in faults[MOST].sentence


def test_copies_in_a_set_without_splits(tmp_path):
    save(tmp_path / "a.jpg", 1)
    shutil.copy(tmp_path / "a.jpg", tmp_path / "b.jpg")
    photo(1).resize((50, 40)).save(tmp_path / "c.jpg", quality=70)
    save(tmp_path / "d.jpg", 2)
    faults = check(f"unlabelled:{tmp_path}")
    assert [(fault.kind, fault.where[-5:]) for fault in faults] == [("duplicate", "b.jpg"), ("near-duplicate", "c.jpg")]


def test_flat_and_different_pictures_are_no_duplicates(tmp_path):
    for number, grey in enumerate((0, 0, 128, 255)):
        path = tmp_path / f"{number}.png"
        Image.new("L", (20 + number, 20), grey).save(path)
    seen = looks([*sorted(tmp_path.glob("*.png")), *(save(tmp_path / f"p{n}.jpg", n) for n in range(40))])
    assert duplicates({"all": seen}) == []
    assert duplicates({"train": seen[::2], "test": seen[1::2]}) == []


def test_coco_faults(tmp_path):
    images = [{"id": n, "file_name": f"{n}.jpg", "height": 48, "width": 60} for n in range(5)]
    for n in range(4):
        save(tmp_path / "images" / f"{n}.jpg", n)
    (tmp_path / "images" / "3.jpg").write_bytes(b"")
    images[2]["height"] = 50
    box = {"image_id": 0, "category_id": 1, "bbox": [1, 1, 5, 5], "segmentation": [[1, 1, 6, 1, 6, 6]]}
    broken = {"size": [48, 60], "counts": "oooo"}
    annotations = [box, {**box, "category_id": 9}, {**box, "bbox": [55, 1, 20, 5]}, {**box, "bbox": [1, 1, 0, 0]},
                   {**box, "image_id": 1, "segmentation": broken}]  # fmt: skip
    path = tmp_path / "set.json"
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "a"}]}
    path.write_text(json.dumps(content))
    found = {(fault.kind, fault.where.removeprefix(str(tmp_path) + "/")) for fault in check(f"coco:{path}")}
    assert found == {
        ("unknown-category", "set.json, annotation number 1"),
        ("box-outside", "set.json, annotation number 2"),
        ("empty-box", "set.json, annotation number 3"),
        ("missing-image", "images/4.jpg"),
        ("zero-byte", "images/3.jpg"),
        ("image-size", "images/2.jpg"),
        ("bad-annotation", "images/1.jpg"),
    }


def test_voc_faults(tmp_path):
    xml = "<annotation><size><width>60</width><height>48</height></size>{}</annotation>"
    thing = "<object><name>a</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>{}</xmax><ymax>4</ymax></bndbox></object>"
    (tmp_path / "Annotations").mkdir()
    for n, last in enumerate((60, 99, 60)):
        save(tmp_path / "JPEGImages" / f"{n}.jpg", n)
        (tmp_path / "Annotations" / f"{n}.xml").write_text(xml.format(thing.format(last)))
    photo(2, (48, 60)).save(tmp_path / "JPEGImages" / "2.jpg")
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("0\n1\n7\n")
    assert {(fault.kind, fault.where.rsplit("/")[-1]) for fault in check(f"voc:{tmp_path}")} == {
        ("box-outside", "1.xml, object 1"), ("image-size", "2.jpg"), ("missing-image", "train.txt"),
    }  # fmt: skip


def test_mask_faults(tmp_path):
    for n in range(5):
        save(tmp_path / "images" / f"{n}.jpg", n)
        numbers = np.zeros((48, 60) if n != 1 else (20, 20), np.uint8)
        numbers[0, 0] = 1 if n != 3 else 9
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(numbers).save(tmp_path / "masks" / f"{n}.png")
    (tmp_path / "masks" / "0.png").unlink()
    save(tmp_path / "masks" / "2.png", 5)
    (tmp_path / "classes.txt").write_text("road\n")
    assert {(fault.kind, fault.where.removeprefix(str(tmp_path) + "/")) for fault in check(f"masks:{tmp_path}")} == {
        ("unpaired-mask", "images/0.jpg"), ("mask-size", "masks/1.png"),
        ("unreadable", "masks/2.png"), ("unknown-label", "masks/3.png"),
    }  # fmt: skip


def test_binary_masks_are_remarked(tmp_path):
    (tmp_path / "masks").mkdir()
    for n in range(3):
        save(tmp_path / "images" / f"{n}.jpg", n)
        Image.fromarray(np.full((48, 60), 255, np.uint8)).save(tmp_path / "masks" / f"{n}.png")
    (fault,) = check(f"masks:{tmp_path}")
    assert (fault.kind, fault.stops) == ("binary-mask", False)


@pytest.mark.parametrize("spec", ["garments", "glyphs", "photos:crops:5", "video:bunny", "scenes:scene32b"])
def test_shipped_sets_are_sound(spec):
    assert check(spec) == []


def test_sets_that_cannot_be_opened_are_told_as_a_fault(tmp_path, monkeypatch):
    (tmp_path / "film.mp4").write_bytes(b"x")
    (fault,) = check(f"video:{tmp_path / 'film.mp4'}")
    assert (fault.kind, fault.stops) == ("missing", True)
    assert "no frame" in fault.sentence
    (fault,) = check("photos:nothing")
    assert "there is no 'nothing'" in fault.sentence


def test_unknown_sources_raise_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="use garments"):
        check("garmets")
    with pytest.raises(ValueError, match="does not exist"):
        check(f"folder:{tmp_path / 'none'}")


@pytest.mark.parametrize("kind", ["folder", "unlabelled", "coco", "voc", "masks", "video"])
def test_nothing_a_user_names_makes_check_crash(kind, tmp_path):
    """An empty folder, a file, a folder of rubbish: always a list of faults that stop."""
    rubbish = tmp_path / "rubbish"
    (rubbish / "train" / "a").mkdir(parents=True)
    (rubbish / "images").mkdir()
    (rubbish / "train" / "a" / "b.jpg").write_bytes(b"\0" * 100)
    (rubbish / "a.xml").write_text("<a>")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.bin").write_bytes(b"\xff\xfe" * 50)
    for target in ("rubbish", "empty", "file.bin"):
        faults = check(f"{kind}:{tmp_path / target}")
        assert any(fault.stops for fault in faults), (kind, target)
