import pytest
import torch
from pycocotools import mask as coco
from torchvision.ops import masks_to_boxes

from engine.data.scenes import Scenes, annotate
from engine.data.scenes.annotate import amodal, amodal_boxes, edges, hides, objects, surface


def test_boxes_are_those_of_torchvision_and_pycocotools(scenes96):
    _, scenes, batch = scenes96
    valid = objects(scenes).valid
    checked = 0
    for b, boxes in enumerate(batch.boxes):
        numbers = valid[b].nonzero()[:, 0] + 1
        masks = scenes.instances[b] == numbers[:, None, None]
        # torchvision gives the last pixel, COCO the width.
        assert torch.equal(boxes, masks_to_boxes(masks) + torch.tensor([0.0, 0, 1, 1]))
        for box, mask in zip(boxes, masks, strict=True):
            x, y, width, height = coco.toBbox(coco.encode(mask.to(torch.uint8).numpy().copy(order="F")))
            assert box.tolist() == [x, y, x + width, y + height]
            checked += 1
    assert checked > 25


def test_valid_and_ignored_objects_are_counted_pixel_by_pixel():
    scenes = Scenes("scene96").render(torch.arange(80))
    found, seen, ignored = objects(scenes), 0, 0
    whole = (scenes.layers.alpha >= 0.5).sum((1, 2))
    for row, (b, n) in enumerate(zip(scenes.layers.scene.tolist(), scenes.layers.rank.tolist(), strict=True)):
        area = int((scenes.instances[b] == n + 1).sum())
        assert found.area[b, n] == area
        assert found.whole[b, n] == whole[row]
        assert found.valid[b, n] == (area >= annotate.LEAST_AREA)
        assert found.ignore[b, n] == (area >= annotate.LEAST_AREA and area / int(whole[row]) < annotate.LEAST_VISIBLE)
        seen, ignored = seen + int(found.valid[b, n]), ignored + int(found.ignore[b, n])
    assert not found.valid[~scenes.layout.active].any()
    assert 0 < ignored < seen < len(scenes.layers)


def test_the_batch_holds_the_valid_objects_alone_in_order(scenes96):
    dataset, scenes, batch = scenes96
    found, whole = objects(scenes), amodal(scenes)
    for b in range(len(batch)):
        numbers = found.valid[b].nonzero()[:, 0]
        rows = [int(((scenes.layers.scene == b) & (scenes.layers.rank == n)).nonzero()) for n in numbers]
        assert torch.equal(batch.box_labels[b], scenes.layout.kind[b, numbers])
        assert torch.equal(batch.box_ignore[b], found.ignore[b, numbers])
        assert torch.equal(batch.amodal[b], whole[rows])
        assert batch.boxes[b].dtype == torch.float32
        assert len(batch.boxes[b]) == len(numbers)
    assert max(int(labels.max()) for labels in batch.box_labels) < len(dataset.facts.classes)


def test_semantic_labels_agree_with_instances():
    dataset = Scenes("scene64h")
    scenes, batch = dataset.render(torch.arange(10)), dataset.batch(torch.arange(10))
    assert len(dataset.labels) == 10
    for b in range(10):
        assert torch.equal(batch.semantic[b] == 9, scenes.ground[b] & (batch.instances[b] == 0))
        for n in range(4):
            labels = batch.semantic[b][batch.instances[b] == n + 1]
            assert (labels == scenes.layout.kind[b, n] + 1).all()
        assert torch.equal((batch.semantic[b] > 0) & (batch.semantic[b] < 9), batch.instances[b] > 0)


def test_whole_boxes_may_reach_outside_and_hold_the_clipped_ones(scenes96):
    _, scenes, _ = scenes96
    boxes, masks = amodal_boxes(scenes), amodal(scenes)
    kept = masks.flatten(1).any(1)
    clipped = masks_to_boxes(masks[kept]) + torch.tensor([0.0, 0, 1, 1])
    assert torch.equal(boxes[kept].clamp(0, 96), clipped)
    assert (boxes != boxes.clamp(0, 96)).any()


def test_depth_is_that_of_the_plane_and_of_the_objects(scenes96):
    _, scenes, batch = scenes96
    y = torch.arange(96) + 0.5
    plane = (3.2 + 0.6 * (96 - y) / 96)[:, None].expand(96, 96)
    for b in range(len(batch)):
        behind = batch.instances[b] == 0
        torch.testing.assert_close(batch.depth[b][behind], plane[behind])
        last = 3.2
        for n in range(int(scenes.layout.active[b].sum())):
            own = batch.depth[b][batch.instances[b] == n + 1]
            at, extent = float(scenes.layout.depth[b, n]), float(scenes.layout.extent[b, n])
            assert at <= last
            last = at
            if len(own):
                # The relief comes forward by a quarter of the half-extent at most.
                assert own.max() <= at + 1e-5
                assert own.min() >= at - 0.25 * extent / 96 - 1e-5
                assert own.min() < own.max() or len(own) < 3


def test_surface_normals_are_unit_vectors_that_face_the_viewer(scenes96):
    _, scenes, _ = scenes96
    normal = surface(scenes)
    torch.testing.assert_close(normal.norm(dim=1), torch.ones(12, 96, 96))
    assert (normal[:, 2] > 0).all()
    behind = scenes.instances == 0
    assert (normal.permute(0, 2, 3, 1)[behind] == torch.tensor([0.0, 0, 1])).all()
    assert (normal[:, 2][~behind] < 0.99).float().mean() > 0.2


def test_edges_are_where_the_right_or_lower_neighbour_differs(scenes96):
    _, scenes, _ = scenes96
    fast = edges(scenes.instances)[:3]
    for b in range(3):
        numbers = scenes.instances[b].tolist()
        for r in range(96):
            for c in range(96):
                right = c < 95 and numbers[r][c] != numbers[r][c + 1]
                below = r < 95 and numbers[r][c] != numbers[r + 1][c]
                assert bool(fast[b, r, c]) == (right or below)


def test_who_hides_whom_is_counted_from_masks(scenes96):
    _, scenes, _ = scenes96
    masks, result = amodal(scenes), hides(scenes)
    expected = torch.zeros_like(result)
    objects_of = list(zip(scenes.layers.scene.tolist(), scenes.layers.rank.tolist(), masks, strict=True))
    for b, i, one in objects_of:
        for other_scene, j, other in objects_of:
            if b == other_scene and j > i and (one & other).any():
                expected[b, i, j] = True
    assert torch.equal(result, expected)
    assert result.any()


@pytest.mark.parametrize("bank", ["emoji", "shapes", "sprites"])
def test_masks32_shows_one_whole_object(bank):
    dataset = Scenes("masks32", bank=bank)
    scenes = dataset.render(torch.arange(100))
    assert (scenes.layout.active.sum(1) == 1).all()
    boxes = amodal_boxes(scenes)
    assert boxes.min() >= 0
    assert boxes.max() <= 32
    assert objects(scenes).valid.all()
