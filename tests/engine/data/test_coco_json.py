"""COCO's json against pycocotools: boxes, polygons, run lengths, crowds."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as official
from pycocotools.coco import COCO

from engine.data import coco, open_data
from engine.data.annotated import Reader
from engine.data.base import VOID, Facts
from engine.data.coco_masks import polygon_mask, rle_counts, rle_mask
from engine.data.decode import ImageError
from engine.data.letterbox import letterbox_boxes, letterbox_labels

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pycocotools")


def write(folder, annotations, sizes=((48, 64), (64, 64)), name="set.json", categories=None):
    """A COCO set of black images; image ids are 10, 11, ..."""
    (folder / "images").mkdir(exist_ok=True)
    images = []
    for place, (height, width) in enumerate(sizes):
        file = f"{name}{place}.png"
        Image.new("RGB", (width, height), (place, 0, 0)).save(folder / "images" / file)
        images.append({"id": 10 + place, "file_name": file, "height": height, "width": width})
    categories = categories or [{"id": 90, "name": "zebra"}, {"id": 3, "name": "car"}, {"id": 17, "name": "cat"}]
    annotations = [{"id": place + 1, "iscrowd": 0, **each} for place, each in enumerate(annotations)]
    path = folder / name
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


@pytest.fixture
def things(tmp_path):
    """Two images: a triangle in front of a square, a crowd; and nothing."""
    crowd = np.zeros((48, 64), np.uint8)
    crowd[30:, 50:] = 1
    runs = official.encode(np.asfortranarray(crowd))
    return write(
        tmp_path,
        [
            {"image_id": 10, "category_id": 17, "bbox": [20.5, 12, 10, 9], "area": 50,
             "segmentation": [[20.5, 12, 30.5, 12, 25.0, 21]]},
            {"image_id": 10, "category_id": 3, "bbox": [10, 10, 30, 20], "area": 600,
             "segmentation": [[10, 10, 40, 10, 40, 30, 10, 30]]},
            {"image_id": 10, "category_id": 90, "bbox": [50, 30, 14, 18], "area": 252, "iscrowd": 1,
             "segmentation": {"size": [48, 64], "counts": runs["counts"].decode()}},
        ],
    )  # fmt: skip


def test_polygons_are_drawn_as_pycocotools_draws_them():
    draw = np.random.default_rng(0)
    for _ in range(300):
        height, width = (int(side) for side in draw.integers(1, 50, 2))
        corners = draw.uniform(-5, 1.2 * max(height, width), (draw.integers(3, 9), 2))
        polygon = corners.round(int(draw.integers(0, 4))).ravel().tolist()
        theirs = official.decode(official.frPyObjects([polygon], height, width))[..., 0]
        assert np.array_equal(polygon_mask([polygon], height, width), theirs.astype(bool))


def test_polygons_of_one_thing_are_united():
    two = [[1, 1, 8, 1, 8, 8, 1, 8], [5, 5, 12, 5, 12, 12, 5, 12]]
    theirs = official.decode(official.merge(official.frPyObjects(two, 15, 20)))
    assert np.array_equal(polygon_mask(two, 15, 20), theirs.astype(bool))


def test_a_rectangle_on_pixel_borders_is_exactly_its_pixels():
    mask = polygon_mask([[2, 3, 7, 3, 7, 5, 2, 5]], 9, 10)
    assert mask.sum() == 10
    assert mask[3:5, 2:7].all()


def test_run_lengths_in_both_forms():
    draw = np.random.default_rng(1)
    for _ in range(100):
        mask = draw.random(draw.integers(1, 40, 2)) < draw.random()
        runs = official.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
        counts = rle_counts(runs)
        assert sum(counts) == mask.size
        for form in (runs, runs.decode(), counts):
            assert np.array_equal(rle_mask(form, *mask.shape), mask)


def test_run_lengths_by_hand():
    """Column by column, zeros first: 1 zero, 2 ones, 1 zero."""
    assert rle_mask([1, 2, 1], 2, 2).tolist() == [[False, True], [True, False]]
    assert rle_mask([0, 4], 2, 2).all()
    # 33 = 0b00001_00001: low five bits with the continue bit, then 1. -16 is one group with its sign bit.
    assert rle_counts(chr(48 + 32 + 1) + chr(48 + 1)) == [33]
    assert rle_counts(chr(48 + 16)) == [-16]
    assert rle_counts("1234") == [1, 2, 3, 4 + 2]


@pytest.mark.parametrize(("counts", "says"), [([1, 2], "add up to 3"), ([5, -1], "add up"), ([], "add up to 0"),
                                             ("Q", "middle of a number"), ("1 2", "character ' '")])  # fmt: skip
def test_impossible_run_lengths(counts, says):
    with pytest.raises(ValueError, match=says):
        rle_mask(counts, 2, 2)


def test_annotations_as_pycocotools_reads_them(things):
    found = coco.read(things)
    reference = COCO(str(things))
    assert found.classes == ("car", "cat", "zebra")
    assert found.faults == ()
    for image, number in zip(found.images, (10, 11), strict=True):
        theirs = {tuple(a["bbox"]): a for a in reference.loadAnns(reference.getAnnIds(number))}
        assert len(image.things) == len(theirs)
        for thing in image.things:
            x1, y1, x2, y2 = thing.box
            annotation = theirs[(x1, y1, x2 - x1, y2 - y1)]
            assert found.classes[thing.label] == reference.cats[annotation["category_id"]]["name"]
            assert thing.ignore == bool(annotation["iscrowd"])
            assert np.array_equal(thing.mask(48, 64), reference.annToMask(annotation).astype(bool))


def test_batch_of_a_set(things, tmp_path):
    dataset = open_data(f"coco:{things}", "train", size=64)
    # One of two images is held out.
    both = [open_data(f"coco:{things}", split, size=64) for split in ("train", "test")]
    assert [len(each) for each in both] == [1, 1]
    full = next(batch for each in both if len((batch := each.batch(torch.tensor([0]))).boxes[0]))
    empty = next(batch for each in both if not len((batch := each.batch(torch.tensor([0]))).boxes[0]))
    assert dataset.facts.classes == ("car", "cat", "zebra")
    # Crowds first, then large before small: car is 2, cat is 3.
    assert full.box_labels[0].tolist() == [2, 0, 1]
    assert full.box_ignore[0].tolist() == [True, False, False]
    assert full.boxes[0].tolist() == [[50, 30, 64, 48], [10, 10, 40, 30], [20.5, 12, 30.5, 21]]
    reference = COCO(str(things))
    cat, car, crowd = (reference.annToMask(reference.anns[n]).astype(bool) for n in (1, 2, 3))
    semantic, instances = np.full((64, 64), VOID), np.zeros((64, 64), int)
    semantic[:48] = 0
    semantic[:48][crowd] = VOID
    for label, instance, mask in ((1, 2, car), (2, 3, cat)):
        semantic[:48][mask] = label
        instances[:48][mask] = instance
    assert full.semantic[0].tolist() == semantic.tolist()
    assert full.instances[0].tolist() == instances.tolist()
    assert empty.boxes[0].shape == (0, 4)
    assert empty.semantic.unique().tolist() == [0]


def test_boxes_follow_the_image_to_another_size(things):
    boxes = torch.tensor([[10.0, 10, 40, 30]])
    # 48 x 64 -> 24 x 32: half.
    assert letterbox_boxes(boxes, 48, 64, 32).tolist() == [[5, 5, 20, 15]]
    labels = torch.zeros(48, 64, dtype=torch.long)
    labels[10:30, 10:40] = 4
    small = letterbox_labels(labels, 32)
    assert small.shape == (32, 32)
    assert (small[24:] == VOID).all()
    assert (small[5:15, 5:20] == 4).all()
    assert int((small == 4).sum()) == 10 * 15


def test_sets_without_outlines_have_boxes_alone(tmp_path):
    path = write(
        tmp_path, [{"image_id": 10, "category_id": 3, "bbox": [1, 1, 5, 5], "segmentation": []}], [(20, 20)] * 5
    )
    batch = open_data(f"coco:{path}").batch(torch.arange(4))
    assert batch.semantic is None
    assert batch.instances is None


def test_splits_by_name(tmp_path):
    one = {"image_id": 10, "category_id": 17, "bbox": [1, 1, 5, 5]}
    train = write(tmp_path, [one], name="instances_train2017.json", sizes=[(20, 20)] * 3)
    write(tmp_path, [one], name="instances_val2017.json", sizes=[(20, 20)] * 2)
    assert [len(open_data(f"coco:{train}", split)) for split in ("train", "val", "test")] == [3, 2, 2]
    other = [{"id": 1, "name": "dog"}]
    write(tmp_path, [{**one, "category_id": 1}], name="instances_val2017.json", sizes=[(20, 20)], categories=other)
    with pytest.raises(ValueError, match="other categories"):
        open_data(f"coco:{train}", "val")


GOOD = {"image_id": 10, "category_id": 3, "bbox": [1, 1, 5, 5]}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"category_id": 4}, "unknown-category"),
        ({"image_id": 99}, "bad-annotation"),
        ({"bbox": [1, 1, 5]}, "bad-annotation"),
        ({"bbox": "all"}, "bad-annotation"),
        ({"bbox": [1, 1, float("nan"), 5]}, "bad-annotation"),
        ({"bbox": [60, 1, 6, 5]}, "box-outside"),
        ({"bbox": [-2, 1, 6, 5]}, "box-outside"),
        ({"segmentation": [[1, 1, 2, 2]]}, "bad-annotation"),
        ({"segmentation": [[1, 1, 2, 2, 3, 1, 7]]}, "bad-annotation"),
        ({"segmentation": {"counts": [3, 4]}}, "bad-annotation"),
        ({"segmentation": {"size": [1, 1]}}, "bad-annotation"),
        ({"segmentation": 7}, "bad-annotation"),
    ],
)
def test_wrong_annotations_are_named_and_stop_the_opening(change, kind, tmp_path):
    path = write(tmp_path, [GOOD, {**GOOD, **change}])
    (fault,) = coco.read(path).faults
    assert (fault.kind, fault.where) == (kind, f"{path}, annotation 2")
    with pytest.raises(ValueError, match="annotation 2"):
        open_data(f"coco:{path}")


def test_empty_boxes_are_left_out_and_overlaps_of_a_pixel_clipped(tmp_path):
    path = write(tmp_path, [{**GOOD, "bbox": [3, 3, 0, 5]}, {**GOOD, "bbox": [-0.5, 0, 65, 48.9]}])
    found = coco.read(path)
    assert [fault.kind for fault in found.faults] == ["empty-box"]
    assert found.images[0].things[0].box == (0, 0, 64, 48)


@pytest.mark.parametrize("content", ["[]", "{}", "{", '{"images": 1, "annotations": [], "categories": []}', "\x00"])
def test_no_coco_file_at_all(content, tmp_path):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(ValueError, match=r"x\.json is not"):
        open_data(f"coco:{tmp_path / 'x.json'}")


def test_image_of_another_size_than_annotated(things):
    Image.new("RGB", (64, 50)).save(things.parent / "images" / "set.json0.png")
    reader = Reader(coco.read(things).images, Facts(3, 32), outlines=True)
    assert reader.row(1).images.shape == (1, 3, 32, 32)
    with pytest.raises(ImageError, match="has 64 x 50 pixels, its annotations say 64 x 48"):
        reader.row(0)
