"""COCO average precision against pycocotools, closed forms and degenerate images."""

import contextlib
import io
import time

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from engine.metrics.detection import Detections, Objects, average_precision


def random_images(
    images: int, classes: int, seed: int, detections: int = 12, ignored: float = 0.2, levels: int = 20
) -> tuple[list[Detections], list[Objects]]:
    """Objects, some ignored; detections around them and elsewhere, many scores equal; some images without either."""
    generator = torch.Generator().manual_seed(seed)

    def boxes(count: int) -> torch.Tensor:
        draw = torch.rand(count, 4, generator=generator, dtype=torch.float64)
        return torch.cat((draw[:, :2] * 60, draw[:, :2] * 60 + draw[:, 2:] * 38 + 2), dim=1)

    found, truth = [], []
    for image in range(images):
        count = 0 if image % 7 == 3 else int(torch.randint(1, 6, (1,), generator=generator))
        places, labels = boxes(count), torch.randint(0, classes, (count,), generator=generator)
        ignore = torch.rand(count, generator=generator) < ignored
        truth.append(Objects(places, labels, ignore))
        total = 0 if image % 11 == 5 else detections
        guesses, said = boxes(total), torch.randint(0, classes, (total,), generator=generator)
        if count and total:
            near = torch.randint(0, count, (total * 2 // 3,), generator=generator)
            jitter = torch.randn(len(near), 4, generator=generator, dtype=torch.float64) * 1.5
            guesses[: len(near)], said[: len(near)] = places[near] + jitter, labels[near]
        guesses[:, 2:] = torch.maximum(guesses[:, 2:], guesses[:, :2] + 1)
        scores = torch.randint(1, levels, (total,), generator=generator) / levels
        found.append(Detections(guesses, scores, said))
    return found, truth


def coco(found: list[Detections], truth: list[Objects], classes: int, area_range=(0.0, 1e10)) -> COCOeval:
    def rows(boxes, **more):
        for x1, y1, x2, y2 in boxes.tolist():
            width, height = x2 - x1, y2 - y1
            yield {"bbox": [x1, y1, width, height], "area": width * height} | {k: next(v) for k, v in more.items()}

    objects, results = [], []
    for image, (detections, things) in enumerate(zip(found, truth, strict=True), start=1):
        ignore = torch.zeros(len(things.labels)) if things.ignore is None else things.ignore
        for row in rows(things.boxes, category_id=iter(things.labels.tolist()), iscrowd=iter(ignore.long().tolist())):
            objects.append(row | {"image_id": image, "id": len(objects) + 1})
        said, scores = iter(detections.labels.tolist()), iter(detections.scores.tolist())
        results += [r | {"image_id": image} for r in rows(detections.boxes, category_id=said, score=scores)]
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = {
            "images": [{"id": image + 1} for image in range(len(truth))],
            "categories": [{"id": label} for label in range(classes)],
            "annotations": objects,
        }
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(results), "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [area_range], ["all"]
        evaluation.params.maxDets = [100]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation


@pytest.mark.parametrize("area_range", [(0.0, 1e10), (200.0, 800.0)])
@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_pycocotools(seed, area_range):
    found, truth = random_images(40, 3, seed)
    expected = coco(found, truth, 3, area_range).eval["precision"][:, :, :, 0, 0]
    ours = average_precision(found, truth, 3, area_range)
    assert expected.max() > 0.3  # something was found
    np.testing.assert_allclose(ours.precision, np.where(expected < 0, np.nan, expected), atol=1e-12)


def test_agrees_with_pycocotools_beyond_a_hundred_detections():
    found, truth = random_images(3, 1, 5, detections=180, ignored=0.5, levels=1000)
    expected = coco(found, truth, 1).eval["precision"][:, :, :, 0, 0]
    np.testing.assert_allclose(average_precision(found, truth, 1).precision, expected, atol=1e-12)


def image(detections: list[tuple[list[float], float]], objects: list[list[float]], ignore: list[bool] | None = None):
    found = Detections(
        torch.tensor([box for box, _ in detections]).reshape(-1, 4),
        torch.tensor([score for _, score in detections]),
        torch.zeros(len(detections), dtype=torch.int64),
    )
    flags = None if ignore is None else torch.tensor(ignore)
    things = Objects(torch.tensor(objects).reshape(-1, 4), torch.zeros(len(objects), dtype=torch.int64), flags)
    return [found], [things]


A, B, FAR = [0.0, 0, 10, 10], [20.0, 0, 30, 10], [50.0, 50, 60, 60]


def test_two_found_and_one_false_between():
    # Precision 1 up to recall 1/2 (51 of 101 levels), 2/3 up to recall 1.
    result = average_precision(*image([(A, 0.9), (FAR, 0.8), (B, 0.7)], [A, B]), 1)
    assert result.ap == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_an_overlap_of_nine_tenths_counts_at_nine_thresholds():
    result = average_precision(*image([([0.0, 0, 10, 9], 0.9), (B, 0.7)], [A, B]), 1)
    assert result.ap50 == result.ap75 == 1
    assert result.ap == pytest.approx((9 + 51 * 0.5 / 101) / 10)


def test_perfect_empty_and_absent():
    perfect = average_precision(*image([(A, 0.9), (B, 0.8)], [A, B]), 2)
    assert perfect.ap == 1
    assert perfect.per_class[0] == 1
    assert np.isnan(perfect.per_class[1])  # no object of class 1: left out, not zero
    assert average_precision(*image([], [A]), 1).ap == 0
    assert np.isnan(average_precision(*image([(A, 0.9)], []), 1).ap)
    assert np.isnan(average_precision([], [], 1).ap)


def test_an_object_is_found_once_an_ignored_one_any_number_of_times():
    twice = [(A, 0.9), ([0.0, 0, 10, 9.5], 0.8), (B, 0.7)]
    assert average_precision(*image(twice, [A, B]), 1).ap50 == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert average_precision(*image(twice, [A, B], [True, False]), 1).ap50 == 1


def test_scores_count_by_their_order_alone():
    found, truth = random_images(20, 2, 9)
    warped = [Detections(d.boxes, d.scores**3 / 7, d.labels) for d in found]
    np.testing.assert_array_equal(
        average_precision(warped, truth, 2).precision, average_precision(found, truth, 2).precision
    )


def test_crowded_images_take_little_more_than_in_c():
    # 400 images took 1.1 CPU-seconds against 0.8 of pycocotools; the ratio holds on a busy machine, seconds do not.
    found, truth = random_images(100, 4, 3, detections=100, levels=10_000)

    def seconds(evaluate) -> float:
        start = time.process_time()
        evaluate(found, truth, 4)
        return time.process_time() - start

    seconds(average_precision)
    assert seconds(average_precision) < 4 * seconds(coco)


def test_bad_input():
    (found,), (truth,) = image([(A, 0.9)], [A])
    with pytest.raises(ValueError, match="same images, got 1 and 0"):
        average_precision([found], [], 1)
    with pytest.raises(ValueError, match=r"found\[0\]: scores must not be NaN"):
        average_precision([Detections(found.boxes, found.scores * float("nan"), found.labels)], [truth], 1)
    with pytest.raises(ValueError, match=r"found\[0\]: expected labels 0 to 0, got 3 to 3"):
        average_precision([Detections(found.boxes, found.scores, found.labels + 3)], [truth], 1)
    with pytest.raises(ValueError, match=r"truth\[0\]: expected labels 0 to 0, got 1 to 1"):
        average_precision([found], [Objects(truth.boxes, truth.labels + 1)], 1)
    with pytest.raises(ValueError, match=r"found\[0\]: boxes, scores and labels must pair, got 1, 0, 1"):
        average_precision([Detections(found.boxes, found.scores[:0], found.labels)], [truth], 1)
    with pytest.raises(ValueError, match=r"truth\[0\]: boxes, labels and ignore must pair"):
        average_precision([found], [Objects(truth.boxes, truth.labels[:0])], 1)
