import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine.data import open_data
from engine.data.base import Batch, Facts, Memory
from engine.data.episodes import Episode, Episodes
from engine.methods.fewshot.prototypical import (
    Prototypical,
    PrototypicalParams,
    accuracy,
    answer,
    distorted,
    logits,
    prototypes,
    truth,
    turned,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def uneven_set():
    """Classes of 1, 2, ... 6 pictures, in mixed order; every picture's pixels hold its own number."""
    labels = torch.repeat_interleave(torch.arange(6), torch.arange(1, 7))[torch.randperm(21, generator=seeded())]
    images = torch.arange(21, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2).contiguous()
    return Memory(Batch(images, torch.arange(21), labels=labels), Facts(1, 2, tuple("abcdef")))


def test_squared_distance_is_its_definition_and_its_linear_form():
    queries, centres = torch.randn(7, 5, generator=seeded()), torch.randn(3, 5, generator=seeded(1))
    slow = -((queries[:, None] - centres[None]) ** 2).sum(-1)
    fast = logits(queries, centres, "euclidean")
    assert torch.allclose(fast, slow, atol=1e-5)
    linear = 2 * queries @ centres.T - centres.square().sum(1)
    assert torch.allclose(fast.softmax(1), linear.softmax(1), atol=1e-6)
    assert torch.isfinite(torch.autograd.functional.jacobian(lambda q: logits(q, q, "euclidean"), centres)).all()


def test_cosine_ignores_lengths_and_scales():
    queries, centres = torch.randn(7, 5, generator=seeded()), torch.randn(3, 5, generator=seeded(1))
    expected = F.cosine_similarity(queries[:, None], centres[None], dim=-1)
    assert torch.allclose(logits(queries, 3 * centres, "cosine"), expected, atol=1e-6)
    assert torch.allclose(logits(queries, centres, "cosine", 10.0), 10 * expected, atol=1e-5)


def test_the_mean_is_the_best_prototype_for_squared_distance():
    points = torch.randn(1, 6, 4, generator=seeded())
    centre = prototypes(points)

    def cost(c):
        return (points[0] - c).square().sum()

    for step in torch.randn(20, 4, generator=seeded(2)) * 0.1:
        assert cost(centre) < cost(centre + step)
    assert torch.equal(prototypes(points[:, :1]), points[:, 0])


def test_tasks_have_their_shape_and_never_ask_what_is_known():
    episodes = Episodes(uneven_set(), ways=3, shots=2, queries=2)
    assert episodes.classes.tolist() == [3, 4, 5]
    labels = uneven_set().rows.labels
    generator = seeded()
    for _ in range(20):
        task = episodes.draw(generator)
        assert task.support.shape == (3, 2, 1, 2, 2)
        numbers = (torch.cat([task.support, task.query], 1)[:, :, 0, 0, 0] * 255).round().long()
        assert len(set(numbers.flatten().tolist())) == 12
        assert torch.equal(labels[numbers], task.classes[:, None].expand(-1, 4))


def test_every_picture_is_drawn_equally_often():
    episodes = Episodes(uneven_set(), ways=1, shots=1, queries=1)
    generator, counts = seeded(), torch.zeros(21)
    for _ in range(4000):
        counts[int(episodes.draw(generator).support[0, 0, 0, 0, 0] * 255 + 0.5)] += 1
    for label in range(1, 6):
        drawn = counts[uneven_set().rows.labels == label]
        expected = 4000 / 5 / len(drawn)
        assert ((drawn - expected) ** 2 / expected).sum() < 30, "chi-square far beyond chance"


def test_too_much_asked_of_a_set_is_told():
    with pytest.raises(ValueError, match="only 3 classes have 4 pictures; lower ways, shots or queries"):
        Episodes(uneven_set(), ways=4, shots=2, queries=2)
    with pytest.raises(ValueError, match="no labels"):
        Episodes(Memory(Batch(torch.zeros(2, 1, 2, 2, dtype=torch.uint8), torch.arange(2)), Facts(1, 2)), 1, 1, 1)


def test_the_splits_share_no_class():
    train, test = (open_data("glyphs", split).facts.classes for split in ("train", "test"))
    assert not set(train) & set(test)


def test_orders_of_classes_and_known_pictures():
    episodes = Episodes(open_data("glyphs", "test"), 4, 2, 3)
    task = episodes.draw(seeded())
    embed = Prototypical(PrototypicalParams(width=4), Facts(1, 28)).embed
    scores, _, _ = answer(embed, task, "euclidean")
    swapped, _, _ = answer(embed, Episode(task.support.flip(1), task.query, task.classes), "euclidean")
    assert torch.allclose(scores, swapped, atol=1e-4)
    order = torch.tensor([2, 0, 3, 1])
    moved, _, _ = answer(embed, Episode(task.support[order], task.query[order], task.classes[order]), "euclidean")
    expected = scores.unflatten(0, (4, 3))[order][:, :, order].flatten(0, 1)
    assert torch.allclose(moved, expected, atol=1e-4)


def test_a_constant_network_is_at_chance_and_perfect_points_are_right():
    episodes = Episodes(open_data("glyphs", "test"), 5, 1, 4)
    tasks = [episodes.draw(seeded(i)) for i in range(3)]

    class Constant(nn.Module):
        def forward(self, images):
            return torch.ones(len(images), 3)

    assert float(accuracy(Constant(), tasks, "euclidean")) == pytest.approx(1 / 5)
    wanted = truth(tasks[0])
    assert F.cross_entropy(answer(Constant(), tasks[0], "euclidean")[0], wanted).item() == pytest.approx(math.log(5))


def test_distortion_of_strength_0_is_none_and_turns_keep_a_class_together():
    task = Episodes(open_data("glyphs", "test"), 8, 1, 1).draw(seeded())
    assert torch.allclose(distorted(task.query, 0.0, seeded()), task.query, atol=1e-5)
    moved = distorted(task.query, 1.0, seeded())
    assert (moved - task.query).abs().flatten(1).mean(1).min() > 0.01
    same = Episode(task.support, task.support, task.classes)
    both = turned(same, seeded())
    assert torch.equal(both.support, both.query)
    assert not torch.equal(both.support, task.support)


def test_distortion_moves_the_centre_evenly_within_15_percent():
    """Turning, shearing and scaling leave the centre; only the shift, uniform on +-0.15 of the size, moves it."""
    image = torch.zeros(400, 1, 28, 28)
    image[..., 13:15, 13:15] = 1
    moved = distorted(image, 1.0, seeded())[:, 0]
    y, x = torch.meshgrid(torch.arange(28) - 13.5, torch.arange(28) - 13.5, indexing="ij")
    mass = moved.sum((1, 2))
    shift = torch.stack([(moved * x).sum((1, 2)) / mass, (moved * y).sum((1, 2)) / mass])
    limit = 0.15 * 28
    assert shift.abs().max() < limit + 0.3
    assert torch.allclose(shift.std(1), torch.tensor(limit / 3**0.5), rtol=0.1)
