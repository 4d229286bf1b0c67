import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from engine.data.base import Dataset, memory
from engine.data.scenes import COUNTS, PRESETS, Scenes
from engine.data.scenes.photos import photographs

REFERENCE = Path(__file__).with_name("reference")
STRIPS = [(preset, "emoji") for preset in PRESETS] + [("scene64", "shapes"), ("scene64", "sprites")]


def strip(preset, bank):
    """The first eight scenes (two where they are large) reduced to 16 x 16, side by side: (16, 16 n, 3) uint8."""
    dataset = Scenes(preset, bank=bank)
    images = dataset.batch(torch.arange(8 if dataset.preset.size < 200 else 2)).images
    return F.adaptive_avg_pool2d(images.float(), 16).round().to(torch.uint8).permute(2, 0, 3, 1).flatten(1, 2).numpy()


@pytest.mark.parametrize(("preset", "bank"), STRIPS)
def test_scenes_that_exist_never_change(preset, bank):
    """Small copies rather than hashes: float rounding, hence a pixel here and there, differs between processors.

    When a change is wanted, store the new strips with Image.fromarray(strip(preset, bank)).save(path).
    """
    with Image.open(REFERENCE / f"{preset}_{bank}.png") as file:
        stored = np.array(file)
    assert np.abs(strip(preset, bank).astype(int) - stored).max() <= 1


@pytest.mark.parametrize("bank", ["emoji", "shapes", "sprites"])
def test_scenes_are_a_dataset(bank):
    dataset = Scenes("scene64", bank=bank)
    assert isinstance(dataset, Dataset)
    assert dataset.facts.channels == 3
    assert dataset.facts.size == 64
    assert len(dataset.facts.classes) == len(set(dataset.facts.classes)) == 4
    batch = dataset.batch(torch.tensor([5, 2]))
    assert batch.images.dtype == torch.uint8
    assert batch.images.shape == (2, 3, 64, 64)
    assert batch.index.tolist() == [5, 2]
    assert batch.labels is None
    assert batch.flow is None
    assert torch.equal(batch.images[1], dataset.batch(torch.tensor([2])).images[0])


def test_memory_holds_the_same_scenes():
    dataset = Scenes("scene64s", "val", count=40)
    kept = memory(dataset, chunk=7)
    index = torch.tensor([39, 0, 12])
    one, two = kept.batch(index), dataset.batch(index)
    for name in ("images", "semantic", "instances", "depth", "index"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name
    for name in ("boxes", "box_labels", "box_ignore", "amodal"):
        assert all(map(torch.equal, getattr(one, name), getattr(two, name))), name


def test_splits_have_their_sizes_and_scenes_of_their_own():
    for split, count in COUNTS.items():
        assert len(Scenes("scene64", split)) == count
    assert len(Scenes("scene64", count=5)) == 5
    train, val, test = (Scenes("scene64", split).batch(torch.arange(20)).images.flatten(1) for split in COUNTS)
    for one, other in ((train, val), (train, test), (val, test)):
        assert (one[:, None] != other[None]).any(-1).all()


def test_test_scenes_have_photographs_and_textures_of_their_own():
    train, val, test = (Scenes("scene64", split)._stage for split in COUNTS)
    assert torch.equal(train.photos, val.photos)
    assert torch.equal(test.photos, photographs(test.photos.shape[-1], True))
    for name in ("photos", "textures"):
        one, other = getattr(train, name).flatten(1).float(), getattr(test, name).flatten(1).float()
        assert torch.cdist(one, other).min() > 0, name


@pytest.mark.parametrize("preset", ["scene64", "scene64h"])
def test_classes_of_things_are_about_equally_frequent(preset):
    dataset = Scenes(preset, bank="shapes")
    drawn = dataset._layout(range(1600))
    kinds = torch.bincount(drawn.kind[drawn.active], minlength=dataset.preset.classes).double()
    assert (kinds / kinds.mean() - 1).abs().max() < 0.2


def test_labels_name_what_semantic_holds():
    assert Scenes("scene64").labels == ("background", "animal face", "fruit", "vehicle", "clock")
    assert Scenes("scene64s").labels[-1] == "ground"
    assert Scenes("scene32b").labels == ("background", "object")
    assert int(Scenes("scene64s").batch(torch.arange(8)).semantic.max()) == 5


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"preset": "scene65"}, "scene64"), ({"split": "dev"}, "train, val, test"),
        ({"bank": "icons"}, "emoji, shapes, sprites"), ({"count": -1}, "count"),
    ],
)  # fmt: skip
def test_unknown_names_are_refused_with_those_there_are(arguments, word):
    with pytest.raises(ValueError, match=word):
        Scenes(**arguments)


def test_positions_outside_the_split_are_refused():
    dataset = Scenes("scene64", count=10)
    for wrong in (10, -1):
        with pytest.raises(ValueError, match="use 0 to 9"):
            dataset.batch(torch.tensor([0, wrong]))
    with pytest.raises(TypeError, match="int64"):
        dataset.batch(torch.tensor([0.0]))


@pytest.mark.slow
def test_scenes_per_cpu_second(capsys):
    """Nothing is asserted by the clock; the figure is for reading."""
    for preset in ("scene32b", "scene64", "scene64s", "scene96", "scene256"):
        dataset = Scenes(preset)
        dataset.batch(torch.arange(4))
        count = 512 if dataset.preset.size < 200 else 16
        start = time.process_time()
        batch = dataset.batch(torch.arange(count))
        rate = count / (time.process_time() - start)
        assert len(batch) == count
        with capsys.disabled():
            print(f"\n{preset}: {rate:.0f} scenes per CPU second, boxes, masks and depth included", end="")
