"""Folders of images with and without classes, and opening by name."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from engine.data import open_data
from engine.data.base import memory
from engine.data.decode import ImageError
from engine.data.paths import held_out, pictures


def save(path, colour=(0, 0, 0), size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def animals(tmp_path):
    """train/ and val/ with three classes; val lacks "bird", whose label a naive numbering would give to "cat"."""
    for label, name in enumerate(("bird", "cat", "dog")):
        for number in range(4):
            save(tmp_path / "train" / name / f"{number}.png", (10 * label, number, 0))
            if name != "bird":
                save(tmp_path / "val" / name / "deep" / f"{number}.JPG", (200, 10 * label, number))
    return tmp_path


def test_labels_are_by_name_in_every_split(animals):
    train, test = open_data(f"folder:{animals}", "train", 16), open_data(f"folder:{animals}", "test", 16)
    assert train.facts.classes == test.facts.classes == ("bird", "cat", "dog")
    rows = memory(train).rows
    assert rows.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert rows.images[:, :, 5, 5].tolist() == [[10 * label, n, 0] for label in range(3) for n in range(4)]
    assert memory(test).rows.labels.tolist() == [1] * 4 + [2] * 4
    assert len(open_data(f"folder:{animals}", "val")) == 8
    assert train.facts.size == 16
    assert open_data(f"folder:{animals}", channels=1).batch(torch.tensor([0])).images.shape == (1, 1, 224, 224)


def test_empty_class_folder_keeps_its_place(animals):
    for file in (animals / "train" / "cat").iterdir():
        file.unlink()
    dataset = open_data(f"folder:{animals}")
    assert dataset.facts.classes == ("bird", "cat", "dog")
    assert memory(dataset).rows.labels.unique().tolist() == [0, 2]


def test_class_that_training_lacks_is_refused(animals):
    save(animals / "val" / "eel" / "0.png")
    with pytest.raises(ValueError, match="classes that the training folder lacks: eel"):
        open_data(f"folder:{animals}", "test")


def test_split_where_there_is_none(animals):
    root = f"folder:{animals / 'train'}"
    train, test = open_data(root), open_data(root, "test")
    assert (len(train), len(test)) == (9, 3)
    assert memory(test).rows.labels.tolist() == [0, 1, 2]
    seen = {image.numpy().tobytes() for each in (train, test) for image in memory(each).rows.images}
    assert len(seen) == 12


def test_held_out_is_stratified_stable_and_a_fifth():
    names = [f"{n}.png" for n in range(100)]
    labels = [n % 4 for n in range(100)]
    first = held_out(names, labels)
    assert sorted(labels[place] for place in first) == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5
    shuffled = np.random.default_rng(0).permutation(100).tolist()
    again = held_out([names[p] for p in shuffled], [labels[p] for p in shuffled])
    assert {names[shuffled[place]] for place in again} == {names[place] for place in first}
    more = held_out([*names, "new.png"], [*labels, 0])
    assert len({*more} - {*first, 100}) <= 1
    assert held_out(["a", "b"], [0, 0]) in ({0}, {1})
    assert held_out(["a"], [0]) == set()


def test_files_come_in_any_order_and_repeatedly(animals):
    dataset = open_data(f"folder:{animals}", size=8)
    index = torch.tensor([5, 0, 5, 11])
    batch = dataset.batch(index)
    assert torch.equal(batch.index, index)
    assert torch.equal(batch.images[0], batch.images[2])
    assert batch.labels.tolist() == [1, 0, 1, 2]
    assert torch.equal(pickle.loads(pickle.dumps(dataset)).batch(index).images, batch.images)
    with pytest.raises(ValueError, match="no positions"):
        dataset.batch(torch.empty(0, dtype=torch.long))


def test_broken_file_names_itself_and_the_way_out(animals):
    broken = animals / "train" / "dog" / "2.png"
    broken.write_bytes(broken.read_bytes()[:50])
    dataset = open_data(f"folder:{animals}")
    with pytest.raises(ImageError) as error:
        memory(dataset)
    assert error.value.name == str(broken)
    assert f"visionarium data check folder:{animals}" in str(error.value)


def test_links_are_followed_once_and_hidden_files_left_out(animals):
    cat = animals / "train" / "cat"
    (cat / "again").symlink_to(animals / "train", target_is_directory=True)
    (animals / "train" / "zebra").symlink_to(animals / "val" / "dog", target_is_directory=True)
    save(cat / ".thumbs" / "0.png")
    (cat / "._0.png").write_bytes(b"resource fork")
    (cat / "notes.txt").write_text("x")
    found = pictures(animals / "train")
    assert len(found) == len({path.resolve() for path in found}) == 16
    assert not any("/." in str(path) for path in found)


def test_unlabelled(animals):
    dataset = open_data(f"unlabelled:{animals}", "test", 12)
    assert len(dataset) == 8
    assert dataset.facts.classes == ()
    assert dataset.batch(torch.tensor([3])).labels is None
    flat = f"unlabelled:{animals / 'train'}"
    assert (len(open_data(flat)), len(open_data(flat, "test"))) == (10, 2)


@pytest.mark.parametrize(
    ("spec", "split", "says"),
    [
        ("garmets", "train", "use garments"),
        ("CIFAR100", "train", "torchvision:CIFAR100"),
        ("", "train", "use garments"),
        ("garments:small", "train", "takes nothing after the colon"),
        ("garments", "val", "garments has train, test, got 'val'"),
        ("photos:patches", "train", "use photos, photos:things, photos:crops or photos:crops:N"),
        ("photos:crops:0", "train", "N from 1"),
        ("photos:crops:many", "train", "N from 1"),
        ("scenes:scene65", "train", "use scene64"),
        ("scenes:scene64:x", "train", "use 1 to"),
        ("torchvision:CIFAR", "train", "use CIFAR10"),
        ("folder:", "train", "the path is missing"),
        ("folder:ROOT/trian", "train", "did you mean train"),
        ("folder:ROOT/nowhere/train", "train", "nor does the folder"),
        ("folder:ROOT/train/cat", "train", "has no folders, so no classes; use unlabelled:"),
        ("folder:ROOT/train/cat/0.png", "train", "is a file"),
        ("folder:ROOT", "testing", "split: folder has train, val, test"),
        ("voc:ROOT", "train", "holds no xml files"),
        ("masks:ROOT/train", "train", "has no folder images"),
        ("coco:ROOT/train/cat/0.png", "train", "is not a json file"),
        ("video:ROOT/none.mp4", "train", "does not exist"),
    ],
)
def test_what_cannot_be_opened_gets_one_sentence(spec, split, says, animals):
    with pytest.raises(ValueError, match=says) as error:
        open_data(spec.replace("ROOT", str(animals)), split)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("size", "depth", "says"), [(0, None, "use 1 to 2048"), (9999, 3, "use 1"), (8, 2, "use 1 .grey")]
)
def test_impossible_sizes(size, depth, says):
    with pytest.raises(ValueError, match=says):
        open_data("garments", "train", size, depth)


def test_scenes_have_the_size_of_their_preset():
    assert len(open_data("scenes:scene32b:7")) == 7
    assert open_data("scenes").facts.size == 64
    assert open_data("scenes:scene96", size=96, channels=3).facts.size == 96
    with pytest.raises(ValueError, match="scene96 is drawn at 96 pixels, got 64; use scene64"):
        open_data("scenes:scene96", size=64)
    with pytest.raises(ValueError, match="in colour"):
        open_data("scenes", channels=1)
