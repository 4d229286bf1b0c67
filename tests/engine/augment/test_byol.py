"""BYOL's two views: what they share, and how they differ."""

import torch

from engine.augment.byol import byol
from engine.augment.views import Blur, Solarize


def chances(view, kind):
    return [step.p for step in view.steps if isinstance(step, kind)]


def test_the_first_is_always_blurred_and_only_the_second_solarised():
    one, two = byol()
    assert (chances(one, Blur), chances(two, Blur)) == ([1.0], [0.1])
    assert (chances(one, Solarize), chances(two, Solarize)) == ([], [0.2])
    assert one.steps[:3] == two.steps[:3]


def test_knobs_reach_the_steps():
    one, two = byol(20, (0.4, 1.0), flip=0.0, blur=0.5, solarize=0.7)
    assert (chances(one, Blur), chances(two, Blur), chances(two, Solarize)) == ([0.5], [0.05], [0.7])
    assert (one.steps[0].area, one.steps[0].flip, one.steps[0].size) == ((0.4, 1.0), 0.0, 20)


def test_both_give_floats_of_the_images_shape_and_differ():
    images = torch.rand(6, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    one, two = (view(images, torch.Generator().manual_seed(1)) for view in byol())
    for view in (one, two):
        assert view.shape == images.shape
        assert 0 <= view.min() <= view.max() <= 1
    assert not torch.equal(one, two)
