import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torchvision.ops import box_iou, sigmoid_focal_loss

from engine.augment.mirror import mirrored
from engine.bench import Bench, Setup
from engine.data import open_data
from engine.data.base import Batch, Facts
from engine.methods.detection.retinanet import (
    METHOD,
    SIGMA,
    RetinaNet,
    RetinaNetParams,
    detect,
    judge,
    losses,
    targets_of,
)
from engine.ops.assign import assign, rows, select
from engine.ops.boxes import decode

FACTS = Facts(3, 64, ("animal", "fruit", "vehicle", "clock"))


def scenes(count=4):
    return open_data("scenes:scene64:32").batch(torch.arange(count)).to("cpu")


def model(**knobs):
    torch.manual_seed(0)
    params = RetinaNetParams.make({"width": 16, "depth": 1, **knobs})
    return RetinaNet(params, FACTS), params


def silent(net):
    """The network made to say the prior everywhere."""
    nn.init.zeros_(net.class_head[-1].weight)
    return net


def test_the_untrained_class_loss_is_the_closed_form():
    """Lin et al., section 4.1: p = prior everywhere; 1.1284 for each positive, 7.5e-7 for each other logit."""
    net, params = model()
    batch = scenes()
    logits, deltas = silent(net)(batch.images)
    class_loss, _ = losses(net, logits, deltas, batch, params)
    targets = targets_of(net, batch, 0.5, 0.4)
    positives, counted = int(targets.positive.sum()), int(targets.counted.sum())
    hit = 0.25 * 0.99**2 * -math.log(0.01)
    miss = 0.75 * 0.01**2 * -math.log(0.99)
    expected = (positives * hit + (counted * 4 - positives) * miss) / positives
    assert hit == pytest.approx(1.1284, abs=1e-4)
    assert class_loss.item() == pytest.approx(expected, rel=1e-4)


def test_the_class_loss_is_torchvisions_over_the_anchors_that_count():
    net, params = model(gamma=1.5, alpha=0.4)
    batch = scenes()
    logits, deltas = net(batch.images)
    targets = targets_of(net, batch, 0.5, 0.4)
    each = sigmoid_focal_loss(logits, targets.truth.float(), alpha=0.4, gamma=1.5)
    expected = each[targets.counted].sum() / targets.positive.sum()
    assert torch.allclose(losses(net, logits, deltas, batch, params)[0], expected, rtol=1e-5)


def test_gamma_0_without_balance_is_cross_entropy():
    net, params = model(gamma=0.0, alpha=0.5)
    batch = scenes()
    outputs = net(batch.images)
    focal, _ = losses(net, *outputs, batch, params)
    plain, _ = losses(net, *outputs, batch, params.model_copy(update={"loss": "bce"}))
    assert torch.allclose(focal, plain, rtol=1e-5)


def test_ohem_learns_from_no_more_boxes_than_asked():
    net, params = model(loss="ohem", keep=5)
    logits, deltas = net(scenes().images)
    logits.retain_grad()
    losses(net, logits, deltas, scenes(), params)[0].backward()
    assert ((logits.grad != 0).any(2).sum(1) <= 5).all()


def test_rows_come_in_the_order_of_the_anchors():
    """A head whose output numbers (shape, value, row, column) must come out level by level, row, column, shape."""
    shapes, values = 6, 2
    levels = [
        torch.arange(shapes * values * h * w).reshape(1, shapes * values, h, w).float() for h, w in ((3, 4), (2, 2))
    ]
    slow = []
    for level in levels:
        _, _, height, width = level.shape
        for i in range(height):
            for j in range(width):
                for shape in range(shapes):
                    slow.append(level[0, shape * values : (shape + 1) * values, i, j])
    assert torch.equal(RetinaNet._rows(nn.Identity(), levels, values)[0], torch.stack(slow))


def test_what_anchors_should_say_decodes_to_the_objects():
    net, _ = model()
    batch = scenes(8)
    targets = targets_of(net, batch, 0.5, 0.4)
    for i, boxes in enumerate(batch.boxes):
        found, _, labels = select(targets.truth[i].float(), decode(targets.deltas[i], net.anchors, SIGMA), 0.5, 0.9)
        best, owner = box_iou(found, boxes).max(1)
        assert best.min() > 0.999
        assert torch.equal(labels, batch.box_labels[i][owner])
        seen = ~batch.box_ignore[i]
        assert set(owner.tolist()) == set(seen.nonzero()[:, 0].tolist()) or targets.positive[i].sum() == 0


def test_anchors_of_an_ignored_object_take_no_part():
    net, _ = model()
    batch = scenes(8)
    free = replace(batch, box_ignore=[torch.zeros_like(i) for i in batch.box_ignore])
    one = targets_of(net, free, 0.5, 0.4)
    none = targets_of(net, replace(batch, box_ignore=[torch.ones_like(i) for i in batch.box_ignore]), 0.5, 0.4)
    assert not none.positive.any()
    assert not none.truth.any()
    assert not none.counted[one.positive].any()


@pytest.mark.parametrize("boxes", [torch.zeros(0, 4), torch.tensor([[30.0, 30.0, 31.0, 31.0]])])
def test_an_empty_picture_and_a_single_pixel_give_finite_losses_and_gradients(boxes):
    net, params = model()
    batch = Batch(
        torch.rand(1, 3, 64, 64), torch.arange(1), boxes=[boxes], box_labels=[torch.zeros(len(boxes), dtype=torch.long)]
    )
    class_loss, box_loss = losses(net, *net(batch.images), batch, params)
    (class_loss + box_loss).backward()
    assert torch.isfinite(class_loss + box_loss)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_a_source_without_boxes_is_refused():
    net, params = model()
    batch = Batch(torch.rand(1, 3, 64, 64), torch.arange(1))
    with pytest.raises(ValueError, match="needs a source with boxes"):
        losses(net, *net(batch.images), batch, params)


def test_mirroring_moves_boxes_with_the_picture():
    images = torch.zeros(16, 1, 8, 8)
    images[:, :, 2:4, 1:3] = 1
    boxes = [torch.tensor([[1.0, 2.0, 3.0, 4.0]]) for _ in range(16)]
    batch = Batch(images, torch.arange(16), boxes=boxes, box_labels=[torch.zeros(1, dtype=torch.long)] * 16)
    moved = mirrored(batch, torch.Generator().manual_seed(0))
    turned = 0
    for image, (box,) in zip(moved.images, moved.boxes, strict=True):
        x1, y1, x2, y2 = box.long().tolist()
        assert image[0, y1:y2, x1:x2].min() == 1
        assert image.sum() == 4
        turned += x1 != 1
    assert 2 <= turned <= 14


def test_rows_are_padded_with_nan():
    table = rows(torch.ones(2, 4), torch.tensor([1, 3]), torch.tensor([0.5, 0.25]), most=3)
    assert table[1].tolist() == [1, 1, 1, 1, 3, 0.25]
    assert table[2].isnan().all()


def test_a_timm_backbone_has_the_papers_five_levels():
    net, _ = model(backbone="resnet10t")
    logits, deltas = net(torch.rand(1, 3, 64, 64))
    assert logits.shape == (1, 9 * (64 + 16 + 4 + 1 + 1), 4)
    assert deltas.shape == (1, len(net.anchors), 4)


def test_heat_is_the_best_probability_of_a_place_over_levels_and_shapes():
    net, _ = model()
    logits = torch.full((2, len(net.anchors), net.classes), -9.0)
    centres = (net.anchors[:, :2] + net.anchors[:, 2:]) / 2
    finest = (centres - torch.tensor([10.0, 26.0])).norm(dim=1).argmin()  # column 2, row 6 of the cells of 4 pixels
    logits[1, finest, 1] = 2.0
    heat = net.heat(logits)
    assert heat.shape == (2, FACTS.size, FACTS.size)
    assert heat[0].max() == pytest.approx(torch.tensor(-9.0).sigmoid().item())
    row, column = divmod(int(heat[1].argmax()), FACTS.size)
    assert 24 <= row < 28
    assert 8 <= column < 12
    # Bilinear: the nearest pixel is an eighth of a cell from its centre, along both axes.
    share = (7 / 8) ** 2
    low, high = torch.tensor([-9.0, 2.0]).sigmoid().tolist()
    assert heat[1].max() == pytest.approx(share * high + (1 - share) * low)


@pytest.mark.slow
def test_it_learns_four_pictures_by_heart():
    data = open_data("scenes:scene64:4")
    params = RetinaNetParams.make({"width": 32, "depth": 1, "judged": 4})
    torch.manual_seed(0)
    net = RetinaNet(params, data.facts)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    batch = data.batch(torch.arange(4)).to("cpu")
    for _ in range(150):
        optimizer.zero_grad()
        sum(losses(net, *net(batch.images), batch, params)).backward()
        optimizer.step()
    assert judge(net, data, params, Bench(Setup(device="cpu")))["AP50"] > 0.95
    assert len(detect(net.eval(), batch.images)) == 4


def test_it_promises_its_steps():
    assert METHOD.steps(RetinaNetParams.make({"steps": 7})) == 7


def test_assign_is_the_slow_definition_without_rescue_ties():
    """Anchors over .5 take their best object, under .4 are background, each object's best anchor is positive."""
    generator = torch.Generator().manual_seed(3)
    corner = torch.rand(40, 2, generator=generator) * 50
    anchors = torch.cat([corner, corner + 8 + torch.rand(40, 2, generator=generator) * 12], 1)
    objects = anchors[:3] + torch.rand(3, 4, generator=generator)
    targets = assign([objects], [torch.tensor([0, 1, 1])], None, anchors, 2, 0.5, 0.4)
    overlap = box_iou(objects, anchors)
    for a in range(40):
        best, owner = overlap[:, a].max(0)
        rescued = any(overlap[g, a] == overlap[g].max() for g in range(3))
        assert bool(targets.positive[0, a]) == bool(best >= 0.5 or rescued)
        if targets.positive[0, a]:
            assert targets.truth[0, a].tolist() == [i == [0, 1, 1][owner] for i in range(2)]
