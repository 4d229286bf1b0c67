"""Box overlaps and the box coder against torchvision, closed forms and degenerate boxes."""

import math

import pytest
import torch
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import box_iou, clip_boxes_to_image, generalized_box_iou

from engine.ops import boxes as ops


def random_boxes(count: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    draw = torch.rand(count, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 50
    return torch.cat((draw[:, :2], draw[:, :2] + draw[:, 2:] + 1), dim=1)


def test_pairwise_overlaps_agree_with_torchvision():
    one, two = random_boxes(40, 0), random_boxes(30, 1)
    torch.testing.assert_close(ops.iou(one[:, None], two), box_iou(one, two))
    torch.testing.assert_close(ops.giou(one[:, None], two), generalized_box_iou(one, two))


def test_row_by_row_is_the_diagonal_of_all_pairs():
    one, two = random_boxes(20, 2), random_boxes(20, 3)
    torch.testing.assert_close(ops.giou(one, two), ops.giou(one[:, None], two).diagonal())


def test_boxes_apart_have_the_closed_form():
    one, two = torch.tensor([0.0, 0, 1, 1]), torch.tensor([2.0, 0, 3, 1])
    assert ops.iou(one, two).item() == 0
    # Hull 3, union 2: 0 - (3 - 2) / 3.
    assert ops.giou(one, two).item() == pytest.approx(-1 / 3)


def test_boxes_without_area_never_give_nan_nor_a_nan_gradient():
    point = torch.tensor([[5.0, 5, 5, 5]], requires_grad=True)
    others = torch.tensor([[5.0, 5, 5, 5], [0, 0, 10, 10], [7, 7, 7, 7], [9, 9, 2, 2]])
    assert ops.iou(point, others).tolist() == [0, 0, 0, 0]
    overlap = ops.giou(point, others)
    assert overlap.isfinite().all()
    overlap.sum().backward()
    assert point.grad.isfinite().all()


def test_overlaps_do_not_depend_on_place_or_scale():
    one, two = random_boxes(20, 4), random_boxes(20, 5)
    torch.testing.assert_close(ops.giou(one * 3 + 7, two * 3 + 7), ops.giou(one, two))


def test_coder_closed_forms():
    anchor = torch.tensor([10.0, 20, 30, 60])
    shifted = anchor + torch.tensor([2.0, 0, 2, 0])  # by a tenth of its width
    torch.testing.assert_close(ops.encode(shifted, anchor), torch.tensor([1.0, 0, 0, 0]))
    doubled = torch.tensor([0.0, 0, 40, 80])  # same centre, twice the size
    torch.testing.assert_close(ops.encode(doubled, anchor), torch.tensor([0, 0, math.log(2) / 0.2, math.log(2) / 0.2]))


def test_coder_agrees_with_torchvision_and_inverts():
    boxes, anchors = random_boxes(200, 6), random_boxes(200, 7)
    theirs = BoxCoder(weights=(10.0, 10.0, 5.0, 5.0))
    deltas = ops.encode(boxes, anchors)
    torch.testing.assert_close(deltas, theirs.encode_single(boxes, anchors))
    torch.testing.assert_close(ops.decode(deltas, anchors), boxes)
    noise = torch.randn(200, 4, generator=torch.Generator().manual_seed(8), dtype=torch.float64) * 10
    torch.testing.assert_close(ops.decode(noise, anchors), theirs.decode_single(noise, anchors))


def test_decode_clamps_wild_growth():
    anchor = torch.tensor([0.0, 0, 16, 16])
    box = ops.decode(torch.tensor([0.0, 0, 1e6, 1e6]), anchor)
    torch.testing.assert_close(box[2:] - box[:2], torch.tensor([1000.0, 1000.0]))


def test_clip_agrees_with_torchvision_and_empties_what_is_outside():
    boxes = random_boxes(50, 9) - 20
    torch.testing.assert_close(ops.clip(boxes, 30, 40), clip_boxes_to_image(boxes, (30, 40)))
    assert ops.area(ops.clip(torch.tensor([50.0, 50, 60, 60]), 30, 40)).item() == 0


def test_flip_mirrors_the_mask_and_twice_is_nothing():
    box = torch.tensor([1.0, 2, 4, 3])
    mask = torch.zeros(6, 7, dtype=torch.bool)
    mask[2:3, 1:4] = True
    x1, y1, x2, y2 = (int(value) for value in ops.flip(box, 7))
    flipped = torch.zeros_like(mask)
    flipped[y1:y2, x1:x2] = True
    assert torch.equal(flipped, mask.flip(1))
    torch.testing.assert_close(ops.flip(ops.flip(box, 7), 7), box)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([[0.0, 0, 1, 1], [3, 0, 1, 1]], r"boxes: x2 must exceed x1 \(row 1 has width -2.0\)"),
        ([[0.0, 4, 1, 4]], r"boxes: y2 must exceed y1 \(row 0 has height 0.0\)"),
        ([[0.0, 0, 1, float("nan")]], "finite"),
        ([[0.0, 0, 1]], r"expected shape \(N, 4\)"),
    ],
)
def test_bad_boxes_are_named(rows, sentence):
    with pytest.raises(ValueError, match=sentence):
        ops.check_boxes(torch.tensor(rows))


def test_no_boxes_are_legal():
    none = ops.check_boxes(torch.zeros(0, 4))
    assert ops.iou(none[:, None], random_boxes(3, 0)).shape == (0, 3)
