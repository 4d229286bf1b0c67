"""Folders of images and label maps."""

import numpy as np
import pytest
import torch
from PIL import Image

from engine.data import open_data
from engine.data.base import VOID
from engine.data.decode import ImageError
from engine.data.masks import Pairs


def write(root, name, numbers, palette=False, size=None):
    numbers = np.asarray(numbers, np.uint8)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    height, width = size or numbers.shape
    Image.new("RGB", (width, height), (9, 9, 9)).save(root / "images" / f"{name}.jpg")
    mask = Image.fromarray(numbers, "P") if palette else Image.fromarray(numbers)
    if palette:
        mask.putpalette([(value * 37) % 256 for value in range(768)])
    mask.save(root / "masks" / f"{name}.png")


def numbers(*present, shape=(4, 6)):
    grid = np.zeros(shape, np.uint8)
    grid.flat[: len(present)] = present
    return grid


@pytest.mark.parametrize("palette", [False, True])
def test_numbers_come_through_and_padding_is_void(palette, tmp_path):
    for place in range(5):
        write(tmp_path, f"{place}", numbers(1, 3, 255, 0, 2), palette)
    train, test = (open_data(f"masks:{tmp_path}", split, size=6) for split in ("train", "test"))
    assert (len(train), len(test)) == (4, 1)
    assert train.facts.classes == ("class 1", "class 2", "class 3")
    semantic = train.batch(torch.tensor([2])).semantic[0]
    assert semantic[:4].tolist() == numbers(1, 3, 255, 0, 2).tolist()
    assert (semantic[4:] == VOID).all()


def test_names_from_classes_txt(tmp_path):
    write(tmp_path, "a", numbers(1, 2))
    write(tmp_path, "b", numbers(2, 3))
    (tmp_path / "classes.txt").write_text("background\nroad\ncar\n")
    facts = open_data(f"masks:{tmp_path}", size=6).facts
    assert facts.classes == ("road", "car")
    images, masks = (tuple(sorted((tmp_path / folder).iterdir())) for folder in ("images", "masks"))
    pairs = Pairs(images, masks, facts, binary=False)
    assert pairs.row(0).semantic.unique().tolist() == [0, 1, 2, 255]
    with pytest.raises(ImageError, match=r"b\.png: holds the numbers \[3\]; allowed are 0 to 2 and 255"):
        pairs.row(1)


def test_binary_masks_of_0_and_255(tmp_path):
    for name in "abc":
        write(tmp_path, name, numbers(255, 255))
    dataset = open_data(f"masks:{tmp_path}", size=6)
    assert dataset.facts.classes == ("object",)
    semantic = dataset.batch(torch.tensor([0])).semantic[0]
    assert semantic[:4].tolist() == numbers(1, 1).tolist()


def test_splits_number_classes_by_training(tmp_path):
    write(tmp_path / "train", "a", numbers(1, 2, 3))
    write(tmp_path / "val", "a", numbers(1))
    test = open_data(f"masks:{tmp_path}", "test", size=6)
    assert test.facts.classes == ("class 1", "class 2", "class 3")


def test_files_without_partner_are_named(tmp_path):
    write(tmp_path, "a", numbers(1))
    write(tmp_path, "b", numbers(1))
    (tmp_path / "masks" / "b.png").unlink()
    with pytest.raises(ValueError, match=r"images/b\.jpg: there is no mask of this name"):
        open_data(f"masks:{tmp_path}")


def test_mask_of_another_size(tmp_path):
    for name in "ab":
        write(tmp_path, name, numbers(1), size=(4, 7))
    with pytest.raises(ImageError, match=r"\.png: has 6 x 4 pixels, its image has 7 x 4"):
        open_data(f"masks:{tmp_path}").batch(torch.tensor([0]))
