"""A network with prototypes: scores are cosines, and 0 iterations let each view go where it likes."""

import pytest
import torch
import torch.nn.functional as F

from engine.nets.classifier import backbone
from engine.nets.prototypes import Prototypes
from engine.ops.sinkhorn import sinkhorn


def net(iterations=3, queue=0, norm=True):
    torch.manual_seed(0)
    return Prototypes(backbone("small", 1, width=2), 8, 5, epsilon=0.1, iterations=iterations, queue=queue, norm=norm)


def test_scores_are_cosines_with_prototypes():
    model, images = net().eval(), torch.rand(4, 1, 28, 28)
    with torch.no_grad():
        model.prototypes.mul_(3)
    model.renew()
    told, scores = model.head(model.features(images)), model(images)
    for row in range(4):
        for group in range(5):
            cosine = F.cosine_similarity(told[row], model.prototypes[group], dim=0)
            assert scores[row, group].item() == pytest.approx(cosine.item(), abs=1e-5)


def test_swapping_takes_codes_before_the_queue_moves_on():
    model = net(queue=6)
    z = [F.normalize(torch.randn(4, 8), dim=1) for _ in range(3)]
    before = model.queue.clone()
    scores, codes = model.swap(z, with_queue=True)
    assert (len(scores), len(codes)) == (3, 2)
    for place in range(2):
        wanted = sinkhorn(torch.cat((z[place], before[place])) @ model.prototypes.T, 0.1, 3)[:4]
        torch.testing.assert_close(codes[place], wanted)
        torch.testing.assert_close(scores[place], z[place] @ model.prototypes.T)
        assert torch.equal(model.queue[place], torch.cat((z[place], before[place]))[:6])
        assert not codes[place].requires_grad


def test_without_iterations_codes_are_those_of_each_picture_alone():
    model, z = net(iterations=0), F.normalize(torch.randn(6, 8), dim=1)
    torch.testing.assert_close(model.codes(z, 0, False), (model.scores(z) / 0.1).softmax(dim=1))


def test_a_head_without_norm_takes_pictures_one_by_one():
    images = torch.rand(4, 8)
    model = net(norm=False).train()
    torch.testing.assert_close(model.head(images)[:2], model.head(images[:2]))
    assert not any(isinstance(part, torch.nn.BatchNorm1d) for part in model.head)
