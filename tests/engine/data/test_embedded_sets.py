"""The sets that ship: what is promised of each, and that the list of sources tells the truth."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from engine.assets import asset
from engine.data import EMBEDDED, SCENES, cutouts, list_data, open_data, photos
from engine.data.base import Dataset, memory
from engine.data.decode import channels, fit
from engine.data.embedded import tiles
from engine.data.nuclei import bounds, renumbered
from engine.data.subset import labels_of, spread
from engine.data.text import sentences


@pytest.mark.parametrize("row", EMBEDDED, ids=lambda row: row.spec)
@pytest.mark.parametrize("split", ["train", "test"])
def test_every_embedded_source_is_what_the_list_says(row, split):
    dataset = open_data(row.spec, split)
    assert isinstance(dataset, Dataset)
    assert dataset.facts.size == row.size
    if split == "train":
        assert (len(dataset), len(dataset.facts.classes)) == (row.count, row.classes)
    some = torch.tensor([len(dataset) - 1, 0, 2, 0])
    batch = dataset.batch(some)
    assert batch.images.dtype == torch.uint8
    assert batch.images.shape == (4, dataset.facts.channels, row.size, row.size)
    assert torch.equal(batch.index, some)
    assert torch.equal(batch.images[1], batch.images[3])
    assert torch.equal(batch.images[2], dataset.batch(torch.tensor([2])).images[0])
    if batch.labels is not None:
        assert batch.labels.dtype == torch.int64
        assert 0 <= batch.labels.min() <= batch.labels.max() < len(dataset.facts.classes)


@pytest.mark.parametrize("spec", ["garments", "glyphs", "cutouts", "objects", "photos", "photos:crops:9", "nuclei"])
@pytest.mark.parametrize(("size", "depth"), [(40, 3), (24, 1)])
def test_size_and_channels_are_what_one_asks_for(spec, size, depth):
    dataset = open_data(spec, "test", size, depth)
    batch = dataset.batch(torch.arange(3))
    assert (dataset.facts.size, dataset.facts.channels) == (size, depth)
    assert batch.images.shape == (3, depth, size, size)
    if depth == 3 and spec in ("garments", "glyphs", "nuclei"):
        assert torch.equal(batch.images[:, 0], batch.images[:, 2])


def test_the_list_of_scenes_is_the_presets():
    from engine.data.scenes import COUNTS, PRESETS

    assert {name: (preset.classes, preset.size) for name, preset in PRESETS.items()} == {
        name: (classes, size) for name, (classes, size, _) in SCENES.items()
    }
    assert all(row.count == COUNTS["train"] for row in list_data() if row.spec.startswith("scenes:"))


def test_listing_imports_no_torch():
    code = (
        "import sys, engine.data; engine.data.list_data(); sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_tiles_are_cut_row_by_row(tmp_path):
    from PIL import Image

    sheet = np.arange(6, dtype=np.uint8).repeat(4).reshape(2, 3, 2, 2).swapaxes(1, 2).reshape(4, 6)
    Image.fromarray(sheet).save(tmp_path / "sheet.png")
    cut = tiles(str(tmp_path / "sheet.png"), 2)
    assert cut.shape == (6, 1, 2, 2)
    assert torch.equal(cut[:, 0], torch.arange(6, dtype=torch.uint8)[:, None, None].expand(-1, 2, 2))


def test_garments_are_balanced_disjoint_and_quick_to_open():
    open_data("garments", "test")  # warm
    start = time.process_time()
    train = open_data("garments").rows
    assert time.process_time() - start < 0.3
    test = open_data("garments", "test").rows
    assert train.labels.bincount().tolist() == [1000] * 10
    assert test.labels.bincount().tolist() == [200] * 10
    train_bytes = {image.numpy().tobytes() for image in train.images}
    assert not train_bytes & {image.numpy().tobytes() for image in test.images}
    # The mean over the whole of Fashion-MNIST's training set is 0.2860, its deviation 0.3530.
    pixels = train.images.float() / 255
    assert pixels.mean() == pytest.approx(0.286, abs=0.003)
    assert pixels.std() == pytest.approx(0.353, abs=0.003)
    # Labels and names belong together: on average shoes leave the top free, trousers and dresses the sides.
    mean = torch.stack([pixels[train.labels == label].mean(0)[0] for label in range(10)])
    names = open_data("garments").facts.classes
    top = mean[:, :7].mean((1, 2)).argsort()[:2].tolist()
    sides = mean[:, :, :6].mean((1, 2)).argsort()[:2].tolist()
    assert {names[label] for label in top} == {"sandal", "sneaker"}
    assert {names[label] for label in sides} == {"trouser", "dress"}


def test_glyphs_share_no_class_and_hold_no_tofu_and_no_lookalikes():
    train, test = open_data("glyphs"), open_data("glyphs", "test")
    assert not set(train.facts.classes) & set(test.facts.classes)
    assert train.rows.labels.bincount().unique().tolist() == [12]
    assert len(test) == 12 * len(test.facts.classes)
    images = torch.cat((train.rows.images, test.rows.images)).float().view(-1, 12, 28 * 28)
    assert (images.amax(2) > 200).all(), "an empty tile"
    rows = images - images.mean(2, keepdim=True)
    rows /= rows.norm(dim=2, keepdim=True)
    alike = torch.stack([(rows[:, face] @ rows[:, face].T).fill_diagonal_(0) for face in range(12)])
    assert int((alike > 0.98).sum(2).max()) <= 1, "tofu would be one picture in many classes of a face"
    assert alike.quantile(0.5, 0).max() < 0.9, "look-alikes: alike in half of the faces"
    groups = json.loads(asset("glyphs/dejavu.json").read_text("utf-8"))
    assert any({"A", "Α", "А"} <= set(group) for group in groups), "Latin, Greek and Cyrillic A are one class"


def test_photos_split_and_crops():
    train, test = photos.photographs("train"), photos.photographs("test")
    assert (len(train), len(test)) == (20, 6)
    whole = open_data("photos", "test", size=96)
    assert torch.equal(whole.rows.images[4], fit(test[4], whole.facts))
    assert open_data("photos").rows.labels is None
    few, many = open_data("photos:crops:5"), open_data("photos:crops")
    rows = torch.arange(5)
    assert torch.equal(few.batch(rows).images, many.batch(rows).images)
    assert not torch.equal(few.batch(rows).images, open_data("photos:crops:5", "test").batch(rows).images)


def test_crop_is_a_part_of_its_photograph():
    """A crop whose side is the asked size is cut out, not resampled."""
    photo = torch.arange(3 * 40 * 50).remainder(251).to(torch.uint8).view(3, 40, 50)
    crops = photos.Crops((photo,), 400, photos.Facts(3, 20))
    exact = 0
    for place in crops.places.tolist():
        side = round((0.25 + 0.75 * place[1]) * 40)
        top, left = int(place[2] * (41 - side)), int(place[3] * (51 - side))
        assert top + side <= 40
        assert left + side <= 50
        if side == 20:
            exact += 1
            assert torch.equal(crops._crop(place), photo[:, top : top + 20, left : left + 20])
    assert exact > 0


def test_cutouts_keep_training_and_testing_apart():
    train, test = open_data("cutouts"), open_data("cutouts", "test")
    for ours, theirs in zip(train.emoji, test.emoji, strict=True):
        ours, theirs = ({emoji.numpy().tobytes() for emoji in each} for each in (ours, theirs))
        assert len(ours) >= 9
        assert len(theirs) >= 3
        assert not ours & theirs
    labels = memory(test).rows.labels
    assert labels.bincount().unique().tolist() in ([66, 67], [67, 66])


def test_cutout_is_placed_inside_with_the_size_it_was_given():
    emoji = torch.ones(6, 4, 51, 51)
    draws = torch.tensor(
        [[0, 0, 0, 0.5], [0, 1, 1, 0.5], [1, 0, 1, 0.5], [1, 0.5, 0.5, 0.5], [0, 0.5, 0, 0.5], [0.5] * 4]
    )
    _, opacity = cutouts.placed(emoji, draws, 64)
    for mask, (scale, right, down, _) in zip(opacity[:, 0], draws.tolist(), strict=True):
        part = 0.6 + 0.35 * scale
        assert float(mask.sum()) == pytest.approx((64 * part) ** 2, rel=0.04)
        rows, columns = (mask > 0.5).nonzero().unbind(1)
        assert int(columns.min()) == pytest.approx(64 * (1 - part) * right, abs=1.5)
        assert int(rows.min()) == pytest.approx(64 * (1 - part) * down, abs=1.5)


def test_cutouts_in_grey_are_the_coloured_ones():
    rows = torch.arange(8)
    colour, grey = (open_data("cutouts", "test", channels=depth).batch(rows).images for depth in (3, 1))
    assert torch.equal(channels(colour, 1), grey)


def test_objects_are_the_same_emoji_on_other_photographs():
    train, test = open_data("objects"), open_data("objects", "test")
    assert train.rows.images.shape == (10_000, 3, 32, 32)
    assert len(set(train.facts.classes)) == len(train.facts.classes) == 20
    assert train.rows.labels.bincount().tolist() == [500] * 20
    assert test.rows.labels.bincount().tolist() == [100] * 20
    seen = {picture.numpy().tobytes() for picture in train.rows.images}
    assert len(seen) == 10_000
    assert not seen & {picture.numpy().tobytes() for picture in test.rows.images}


@pytest.mark.parametrize("spec", ["cutouts", "objects"])
@pytest.mark.parametrize("asked", [200, 400, 1000])
def test_pictures_at_even_distances_are_of_all_classes(spec, asked):
    dataset = open_data(spec)
    counts = labels_of(spread(dataset, asked)).bincount(minlength=len(dataset.facts.classes))
    assert counts.min() >= 1
    assert counts.max() <= 3 * asked / len(counts)


def test_nuclei_boxes_are_those_of_the_instances():
    rows = open_data("nuclei").rows
    for ids, boxes, ignore in zip(rows.instances, rows.boxes, rows.box_ignore, strict=True):
        assert len(boxes) == len(ignore) == int(ids.max())
        for n, (x1, y1, x2, y2) in enumerate(boxes.long().tolist(), 1):
            inside = ids[y1:y2, x1:x2] == n
            assert inside.sum() == (ids == n).sum()
            assert inside.any(0).all() or inside.any(0)[[0, -1]].all()
            assert inside.any(1)[[0, -1]].all()
            assert bool(ignore[n - 1]) == (int(inside.sum()) < 16)
    assert torch.equal(rows.semantic, (rows.instances > 0).long())


def test_renumbering_and_bounds_by_hand():
    ids = torch.tensor([[0, 9, 9], [4, 0, 9]])
    assert renumbered(ids).tolist() == [[0, 2, 2], [1, 0, 2]]
    assert bounds(renumbered(ids)).tolist() == [[0, 1, 1, 2], [1, 0, 3, 2]]
    assert renumbered(torch.tensor([[5]])).tolist() == [[1]]
    assert bounds(torch.zeros(2, 2, dtype=torch.long)).shape == (0, 4)


def test_sentences():
    found = sentences()
    assert len(found) == 8413
    assert all(sentence.strip() == sentence and sentence for sentence in found)


@pytest.mark.slow
def test_the_shipped_glyphs_are_what_the_script_renders():
    pytest.importorskip("matplotlib")
    from pathlib import Path

    import matplotlib

    from engine.data.build_glyphs import render

    names, images = render(Path(matplotlib.get_data_path()) / "fonts" / "ttf")
    shipped = tiles("glyphs/dejavu.png", 28).view(-1, 12, 28, 28)
    assert names == json.loads(asset("glyphs/dejavu.json").read_text("utf-8"))
    # Another version of FreeType may shade edges differently.
    assert np.abs(images.astype(int) - shipped.numpy()).mean() < 2
