"""Weighted boxes fusion against the paper's steps written out with tensors, and worked examples."""

import pytest
import torch

from engine.ops.boxes import iou
from engine.ops.fuse import fuse


def slow(boxes, scores, labels, views, overlap):
    """Section 3 of the paper: lists of clusters L and of fused boxes F."""
    clusters, fused = [], []
    for i in sorted(range(len(scores)), key=lambda i: -float(scores[i])):
        best, home = overlap, None
        for g, cluster in enumerate(clusters):
            if labels[cluster[0]] == labels[i] and float(iou(fused[g], boxes[i])) > best:
                best, home = float(iou(fused[g], boxes[i])), g
        if home is None:
            clusters.append([i])
            fused.append(boxes[i].clone())
        else:
            clusters[home].append(i)
            weight = scores[clusters[home]][:, None]
            fused[home] = (weight * boxes[clusters[home]]).sum(0) / weight.sum()
    score = [float(scores[c].mean()) * min(views, len(c)) / views for c in clusters]
    order = sorted(range(len(score)), key=lambda g: -score[g])
    return [(fused[g], score[g], int(labels[clusters[g][0]])) for g in order]


def test_it_follows_the_papers_steps():
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        corner, size = torch.rand(40, 2, generator=generator) * 20, 4 + 4 * torch.rand(40, 2, generator=generator)
        boxes = torch.cat([corner, corner + size], dim=1).double()
        scores = torch.rand(40, generator=generator).double()
        labels = torch.randint(3, (40,), generator=generator)
        found = fuse(boxes, scores, labels, 3, 0.4)
        expected = slow(boxes, scores, labels, 3, 0.4)
        assert len(found[0]) == len(expected) < 40
        for box, score, label, (other, points, kind) in zip(*found, expected, strict=True):
            assert torch.allclose(box, other, atol=1e-6)
            assert (float(score), int(label)) == (pytest.approx(points, abs=1e-6), kind)


def test_two_views_of_one_thing_give_its_weighted_mean_and_one_views_box_grows_faint():
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 11.0, 10.0], [50.0, 50.0, 60.0, 60.0]])
    found, scores, labels = fuse(boxes, torch.tensor([0.9, 0.3, 0.8]), torch.tensor([1, 1, 1]), 2)
    assert torch.allclose(found[0], torch.tensor([0.25, 0.0, 10.25, 10.0]))
    assert scores.tolist() == pytest.approx([0.6, 0.4])
    assert labels.tolist() == [1, 1]


def test_other_labels_are_not_joined_and_the_order_of_views_does_not_matter():
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 10.0]])
    assert len(fuse(boxes, torch.tensor([0.9, 0.8]), torch.tensor([0, 1]), 1)[0]) == 2
    three = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 1.0, 9.0, 10.0], [30.0, 0.0, 40.0, 9.0]])
    scores, labels = torch.tensor([0.9, 0.5, 0.7]), torch.tensor([0, 0, 0])
    turned = torch.tensor([2, 0, 1])
    for one, two in zip(
        fuse(three, scores, labels, 2), fuse(three[turned], scores[turned], labels[turned], 2), strict=True
    ):
        assert torch.allclose(one.float(), two.float())


def test_one_view_keeps_its_boxes_and_none_gives_none():
    boxes, scores = torch.tensor([[0.0, 0.0, 4.0, 4.0], [8.0, 8.0, 9.0, 9.0]]), torch.tensor([0.2, 0.6])
    found, score, _ = fuse(boxes, scores, torch.tensor([0, 0]), 1)
    assert torch.equal(found, boxes.flip(0))
    assert torch.equal(score, scores.flip(0))
    assert [len(part) for part in fuse(boxes[:0], scores[:0], torch.zeros(0).long(), 3)] == [0, 0, 0]
    with pytest.raises(ValueError, match="views: expected 1 or more, got 0"):
        fuse(boxes, scores, torch.tensor([0, 0]), 0)
