"""Boxes and masks move as the pictures do."""

import pytest
import torch

from engine.augment import NAMES, AugMix, AutoAugment, Decisions, RandAugment, TrivialAugment
from engine.augment.geometry import move_boxes, move_masks

HEIGHT, WIDTH = SIZE = (40, 60)
POLICIES = [RandAugment(1, 20), RandAugment(3, 12), RandAugment(2, 9, "timm"), TrivialAugment(), AutoAugment("svhn")]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def decided(names, m, sign=1):
    operation = torch.tensor([[NAMES.index(name)] for name in names])
    return Decisions.at(m, operation, torch.full_like(operation, sign))


def rectangles(count):
    """Whole boxes (count, 1, 4), and the masks of their pixels (count, H, W)."""
    low = torch.stack([torch.randint(0, side // 2, (count,), generator=seeded(side)) for side in (WIDTH, HEIGHT)], 1)
    size = torch.randint(4, 20, (count, 2), generator=seeded())
    boxes = torch.cat([low, low + size], dim=1).float()
    x, y = torch.arange(WIDTH), torch.arange(HEIGHT)[:, None]
    left, top, right, bottom = boxes[:, :, None, None].unbind(dim=1)
    masks = (x >= left) & (x < right) & (y >= top) & (y < bottom)
    return boxes[:, None], masks.long()


def hull(mask):
    """x1, y1, x2, y2 of the pixels that are 1."""
    rows, columns = (mask == 1).any(dim=1).nonzero(), (mask == 1).any(dim=0).nonzero()
    return torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_the_box_holds_the_mask_of_its_rectangle_and_after_one_step_fits_it(policy):
    boxes, masks = rectangles(200)
    decisions = policy.draw(200, seeded(1))
    moved, warped = move_boxes(policy, decisions, boxes, SIZE), move_masks(policy, decisions, masks)
    assert moved.shape == boxes.shape
    seen = 0
    for box, mask in zip(moved[:, 0], warped, strict=True):
        if (mask == 1).any():
            seen += 1
            assert box.isfinite().all()
            pixels = hull(mask)
            # A pixel is drawn when its centre is in the object: its own borders are half a pixel further out, and each
            # further step may carry it as far again.
            slack = 0.5 * len(decisions.operation) + 0.01
            assert (box[:2] <= pixels[:2] + slack).all(), (box, pixels)
            assert (box[2:] >= pixels[2:] - slack).all(), (box, pixels)
            assert (box[:2] >= 0).all()
            assert box[2] <= WIDTH
            assert box[3] <= HEIGHT
        elif box.isfinite().all():  # too thin for the centre of any pixel
            assert (box[2:] - box[:2]).min() < 1.5 * len(decisions.operation)
    assert seen > 100


@pytest.mark.parametrize("name", ["rotate", "shear_x", "shear_y", "translate_x", "translate_y"])
@pytest.mark.parametrize("sign", [1, -1])
def test_one_step_fits_closely(name, sign):
    boxes, masks = torch.tensor([[[20.0, 12, 40, 28]]]), torch.zeros(1, HEIGHT, WIDTH, dtype=torch.uint8)
    masks[:, 12:28, 20:40] = 1
    policy, decisions = RandAugment(1, 10), decided([name], 10, sign)
    box, mask = move_boxes(policy, decisions, boxes, SIZE)[0, 0], move_masks(policy, decisions, masks)
    assert mask.dtype == torch.uint8
    # At a corner, where the object is thinner than a pixel, no centre may be in it.
    assert (box - hull(mask[0])).abs().max() <= 1.5


def test_the_picture_of_a_rectangle_and_its_mask_move_alike():
    _, masks = rectangles(60)
    for policy in POLICIES:
        decisions = policy.draw(60, seeded(2))
        moves = ~torch.isin(decisions.operation, torch.arange(1, 6))
        only = Decisions(
            decisions.operation.masked_fill(moves, 0), decisions.magnitude, decisions.sign, decisions.applied
        )
        pictures = policy.apply((masks[:, None] * 200).to(torch.uint8), only)[:, 0]
        assert torch.equal(pictures == 200, move_masks(policy, decisions, masks) == 1)


def test_a_turn_by_a_known_angle_is_its_closed_form():
    """A square of half side a about the centre, turned by t, has the hull a (|cos t| + |sin t|)."""
    boxes = torch.tensor([[[25.0, 15, 35, 25]]])
    angle = torch.deg2rad(torch.tensor(30.0))
    half = 5 * (angle.cos() + angle.sin())
    moved = move_boxes(RandAugment(1, 30), decided(["rotate"], 30), boxes, SIZE)[0, 0]
    assert torch.allclose(moved, torch.stack([30 - half, 20 - half, 30 + half, 20 + half]), atol=1e-4)


def test_nothing_and_colours_leave_both_alone():
    boxes, masks = rectangles(15)
    boxes = boxes + 0.1  # no whole numbers
    names = [name for name in NAMES if not name.startswith(("shear", "translate", "rotate"))]
    for policy in (RandAugment(1, 30), TrivialAugment(), AutoAugment()):
        for decisions in (decided(names, 9), RandAugment(0).draw(15, seeded())):
            steps = len(decisions.operation)
            every = Decisions(*(row.expand(steps, 15) for row in (
                decisions.operation, decisions.magnitude, decisions.sign, decisions.applied)))  # fmt: skip
            assert torch.equal(move_boxes(policy, every, boxes, SIZE), boxes)
            assert torch.equal(move_masks(policy, every, masks), masks)
    # A step that is not taken moves nothing either.
    turned = decided(["rotate"], 30)
    still = Decisions(turned.operation, turned.magnitude, turned.sign, torch.zeros(1, 1, dtype=torch.bool))
    assert torch.equal(move_boxes(RandAugment(1, 30), still, boxes[:1], SIZE), boxes[:1])


def test_there_and_back_is_the_identity_for_what_stayed_inside():
    policy = RandAugment(2, 12)
    there, back = decided(["translate_x"], 12), decided(["translate_x"], 12, -1)
    both = Decisions(*(torch.cat(pair) for pair in zip(
        (there.operation, there.magnitude, there.sign, there.applied),
        (back.operation, back.magnitude, back.sign, back.applied), strict=True)))  # fmt: skip
    boxes = torch.tensor([[[10.0, 8, 20, 30], [50.0, 8, 60, 30], [40.0, 8, 60, 30]]])
    shift = int(150 / 331 * WIDTH * 12 / 30)
    assert shift == 10
    moved = move_boxes(policy, there, boxes, SIZE)
    assert torch.equal(moved[0, 0], torch.tensor([20.0, 8, 30, 30]))
    returned = move_boxes(policy, both, boxes, SIZE)
    assert torch.equal(returned[0, 0], boxes[0, 0])
    # What left does not come back: the second box is lost, and of the third its right half.
    assert returned[0, 1].isnan().all()
    assert torch.equal(returned[0, 2], torch.tensor([40.0, 8, 50, 30]))
    masks = torch.arange(HEIGHT * WIDTH).view(1, HEIGHT, WIDTH) % 250
    again = move_masks(policy, both, masks)
    assert torch.equal(again[..., :50], masks[..., :50])
    assert (again[..., 50:] == 255).all()


def test_what_left_is_not_brought_back_by_a_turn():
    moves = decided(["translate_x"], 3), decided(["rotate"], 30)  # by 2 pixels, just out of the picture
    rows = [(each.operation, each.magnitude, each.sign, each.applied) for each in moves]
    both = Decisions(*(torch.cat(pair) for pair in zip(*rows, strict=True)))
    policy, boxes = RandAugment(2, 30), torch.tensor([[[58.0, 15, 60, 25]]])
    assert move_boxes(policy, moves[0], boxes, SIZE)[0, 0].isnan().all()
    assert move_boxes(policy, both, boxes, SIZE)[0, 0].isnan().all()


def test_the_host_never_waits_for_boxes_or_masks(watch):
    policy = RandAugment(2, 9)
    decisions = policy.draw(30, seeded())
    boxes, masks = torch.empty(30, 5, 4, device="meta"), torch.empty(30, 40, 60, dtype=torch.long, device="meta")
    with watch() as seen:
        assert move_boxes(policy, decisions, boxes, SIZE).shape == (30, 5, 4)
        assert move_masks(policy, decisions, masks).dtype == torch.long
    assert not seen.waits


def test_absent_boxes_stay_absent_and_too_little_is_dropped():
    boxes = torch.tensor([[[40.0, 10, 60, 20], [torch.nan] * 4, [45.0, 10, 59, 20]]])
    policy, decisions = RandAugment(1, 18), decided(["translate_x"], 18)  # 16 pixels to the right: 4 of 20, none of 14
    moved = move_boxes(policy, decisions, boxes, SIZE)
    assert torch.equal(moved[0, 0], torch.tensor([56.0, 10, 60, 20]))
    assert moved[0, 1:].isnan().all()
    assert move_boxes(policy, decisions, boxes, SIZE, least=0.19)[0, 0].isfinite().all()
    assert move_boxes(policy, decisions, boxes, SIZE, least=0.2)[0, 0].isnan().all()
    assert move_boxes(policy, decisions, boxes[:, :0], SIZE).shape == (1, 0, 4)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda d: move_boxes(AugMix(), AugMix().draw(2, seeded()), torch.zeros(2, 1, 4), SIZE),
            "AugMix lays differently",
        ),
        (lambda d: move_masks(AugMix(), AugMix().draw(2, seeded()), torch.zeros(2, 8, 8).long()), "have no one place"),
        (lambda d: move_boxes(RandAugment(), d, torch.zeros(2, 4), SIZE), r"boxes: expected \(B, M, 4\), got \(2, 4\)"),
        (
            lambda d: move_masks(RandAugment(), d, torch.zeros(2, 8, 8)),
            r"masks: expected \(B, H, W\), of integers, got",
        ),
        (lambda d: move_boxes(RandAugment(), d, torch.zeros(3, 1, 4), SIZE), "they are for 2 images, not 3"),
        (lambda d: move_boxes(RandAugment(), d, torch.zeros(2, 1, 4), SIZE, least=1.0), "least: expected a share"),
    ],
)
def test_bad_input_is_named(make, says):
    with pytest.raises(ValueError, match=says):
        make(RandAugment().draw(2, seeded()))
