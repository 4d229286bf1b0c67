"""What is kept, whether it is known before something else, and the two directions that a descent makes alike."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine.bench import Bench, Setup
from engine.data import open_data
from engine.lenses.backgrounds import ELSEWHERE, KEPT
from engine.lenses.directions import DIRECTIONS
from engine.methods.representation.relic import METHOD, ReLICParams
from engine.metrics.neighbours import PIXELS
from engine.ops.salient import otsu, salient, stands_out

SETS = {}


@pytest.fixture(scope="module")
def garments():
    return open_data("garments", "test").batch(torch.arange(6)).to("cpu").images


@pytest.fixture(scope="module")
def bench():
    return Bench(Setup(device="cpu"), sets=SETS)


@pytest.fixture(scope="module")
def model(bench):
    params = ReLICParams.make({}, "tiny")
    return METHOD.build(params, bench.facts(params)).eval()


def look(lens, model, images, bench, **knobs):
    *_, answer = lens.answers(model, lens.params.make(knobs), images, bench)
    return answer


@pytest.mark.parametrize("size", [28, 40])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("behind", ["grey", "noise", "another"])
def test_what_is_kept_of_any_picture(model, bench, behind, channels, size):
    images = torch.rand(3, channels, size, size, generator=torch.Generator().manual_seed(0))
    answer = look(KEPT, model, images, bench, behind=behind)
    kept = salient(images)
    assert torch.equal(answer["kept"].bool(), kept)
    assert torch.equal(answer["masked"].where(kept, torch.zeros(())), images.where(kept, torch.zeros(())))
    assert answer["share kept"].tolist() == pytest.approx(kept.float().mean(dim=(1, 2, 3)).tolist())
    assert answer["saliency"].amax().item() == pytest.approx(1)


def test_a_higher_threshold_keeps_less(model, bench, garments):
    shares = [look(KEPT, model, garments, bench, times=times)["share kept"].sum().item() for times in (0.3, 1.0, 1.5)]
    assert shares == sorted(shares, reverse=True)
    score = stands_out(garments, "edges", 2.0)
    answer = look(KEPT, model, garments, bench, way="edges", edges=2.0, times=1.2)
    assert torch.equal(answer["kept"].bool(), score > 1.2 * otsu(score)[:, None, None, None])


def test_shares_are_told_of_each_ground_and_each_way(model, bench):
    answer = look(ELSEWHERE, model, None, bench, labels=100)
    assert answer["ground"] == ["as it is", "grey", "noise", "photographs"]
    assert answer["pixels"][0] > 0.5 > answer["pixels"][3]  # pixels know garments on black, and not on photographs
    assert all(answer[way].shape == (4,) for way in ("features", "after the head", "pixels"))
    kept = salient(answer["as it is"])
    assert (answer["grey"][~kept] == 0.5).all()
    assert torch.equal(answer["photographs"][kept], answer["as it is"][kept])


def test_what_has_no_classes_cannot_be_known(bench):
    class Unlabelled(nn.Module):
        facts = open_data("photos:crops", "test").facts
        params = ReLICParams.make({"data": "photos:crops"}, "tiny")
        features = project = staticmethod(PIXELS)

    with pytest.raises(ValueError, match="data: photos:crops has no classes that training and test pictures share"):
        look(ELSEWHERE, Unlabelled(), None, bench)


class Random(nn.Module):
    """Two networks that know nothing and agree on nothing; a view is a picture with noise on it."""

    def __init__(self):
        super().__init__()
        self.maps = [torch.randn(784, 16, generator=torch.Generator().manual_seed(s)) for s in (0, 1)]

    def online(self, images):
        return F.normalize((images - images.mean(0)).flatten(1) @ self.maps[0], dim=1)

    def target(self, images):
        return F.normalize((images - images.mean(0)).flatten(1) @ self.maps[1], dim=1)

    def view(self, images, generator):
        return images + 0.3 * torch.randn(images.shape, generator=generator)


def test_invariance_alone_makes_the_directions_alike_and_contrast_alone_makes_the_diagonal_win(bench, garments):
    alike = look(DIRECTIONS, Random(), garments, bench, alpha=0.0, beta=1.0)
    assert (alike["apart, after"] < 0.1 * alike["apart"]).all()
    assert alike["invariance"][-1, 1] < 0.1 * alike["invariance"][0, 1]
    wins = look(DIRECTIONS, Random(), garments, bench, alpha=1.0, beta=0.0)
    assert wins["contrast"][-1, 1] < wins["contrast"][0, 1]
    assert (wins["there, after"].diagonal() > wins["there"].diagonal()).all()


def test_without_steps_nothing_moves(model, bench, garments):
    answer = look(DIRECTIONS, model, garments, bench, steps=0)
    assert torch.equal(answer["there"], answer["there, after"])
    with pytest.raises(ValueError, match="bring 2 or more, got 1"):
        look(DIRECTIONS, model, garments[:1], bench)
