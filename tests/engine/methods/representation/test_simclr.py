"""SimCLR: one step against the loss done by hand, what each switch takes away, and the task as a lens."""

import math
from functools import partial

import pytest
import tiny_runs
import torch
from tiny_runs import SETS, first_images
from torch.nn import functional as F

from engine.bench import Bench, Setup
from engine.methods.representation.simclr import METHOD
from engine.metrics.embedding import alignment

small, tiny_run = partial(tiny_runs.small, METHOD), partial(tiny_runs.tiny_run, METHOD)


def by_hand(one, two, temperature):
    """The loss of every view, one exponential after the other."""
    z = F.normalize(torch.cat((one, two)), dim=1)
    losses = []
    for i in range(len(z)):
        partner = (i + len(one)) % len(z)
        others = sum(math.exp(z[i] @ z[k] / temperature) for k in range(len(z)) if k != i)
        losses.append(-math.log(math.exp(z[i] @ z[partner] / temperature) / others))
    return sum(losses) / len(losses)


def first_views(params):
    """The pictures and the two views of the first step."""
    images, dice = first_images(METHOD, params)
    return [small(**params.model_dump())[1].view(images, dice) for _ in range(2)]


def test_the_first_step_is_the_loss_by_hand():
    params, before, _, reports = tiny_run(steps=1, warmup=0)
    with torch.no_grad():
        one, two = before.train()(torch.cat(first_views(params))).chunk(2)
    assert reports[0]["loss"].item() == pytest.approx(by_hand(one, two, params.temperature), rel=1e-4)
    assert reports[0]["chance"] == pytest.approx(math.log(15))


def test_without_negatives_only_partners_count():
    params, before, _, reports = tiny_run(steps=1, warmup=0, negatives=False)
    with torch.no_grad():
        one, two = before.train()(torch.cat(first_views(params))).chunk(2)
    assert reports[0]["loss"].item() == pytest.approx(alignment(one, two).item(), rel=1e-4)


@pytest.mark.parametrize(("head", "linear"), [(0, 0), (1, 1), (2, 2), (3, 3)])
def test_the_head_has_as_many_layers_as_asked(head, linear):
    params, model = small(head=head)
    assert sum(isinstance(part, torch.nn.Linear) for part in model.head) == linear
    images = torch.rand(2, 1, 28, 28)
    assert model.eval().project(images).shape == (2, params.dim if head else model.backbone.out_features)
    if not head:
        assert torch.equal(model.project(images), model.features(images))


def test_without_crop_and_distortion_a_view_is_the_picture_or_its_mirror():
    _, model = small(crop=1.0, strength=0.0)
    image = torch.rand(16, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    seen = model.view(image, torch.Generator().manual_seed(0))
    for one, other in zip(seen, image, strict=True):
        assert min((one - other).abs().max(), (one - other.flip(-1)).abs().max()) < 1e-5


def look(name, model, images, **knobs):
    lens = next(lens for lens in METHOD.lenses if lens.name == name)
    *_, answer = lens.answers(model, lens.params.make(knobs, "tiny"), images, Bench(Setup(device="cpu"), sets=SETS))
    return answer


def test_the_pairs_lens_plays_the_task():
    _, model = small()
    images = Bench(Setup(device="cpu"), sets=SETS).data("garments", "test").batch(torch.arange(4)).to("cpu").images
    answer = look("Pairs", model, images, temperature=0.5)
    with torch.no_grad():
        z = F.normalize(model.project(torch.cat((answer["one"], answer["two"]))), dim=1)
    for i in range(4):
        own = (z[i] @ z[i + 4]).item()
        others = [(z[i] @ z[k]).item() for k in range(8) if k not in (i, i + 4)]
        assert answer["partners"][i].item() == pytest.approx(own, abs=1e-5)
        assert answer["similarity"][i, i].item() == pytest.approx(own, abs=1e-5)
        assert answer["views_ahead"][i].item() == sum(other > own for other in others)
        chance = math.exp(own / 0.5) / sum(math.exp(one / 0.5) for one in (own, *others))
        assert answer["probability"][i].item() == pytest.approx(chance, rel=1e-4)
    assert len(answer["strangers"]) == 8 * 6
    assert torch.equal(look("Pairs", model, images)["one"], look("Pairs", model, images)["one"])
    assert not torch.equal(look("Pairs", model, images, seed=1)["one"], answer["one"])
