"""At a glance: the same numbers as the single lenses give, from one question to the network for each part."""

import pytest
import torch
from torch import nn

from engine.augment.corruptions import CORRUPTIONS
from engine.augment.fan import FAN
from engine.bench import Bench, Setup
from engine.data.base import Facts
from engine.lenses.classifier import Classifies
from engine.lenses.glance import ANSWERS, GLANCE
from engine.lenses.views import LOOK_FAN, USUAL


class Net(nn.Module):
    def __init__(self, classes=3):
        super().__init__()
        self.classes, self.asked = classes, 0

    def forward(self, images):
        self.asked += len(images)
        weight = torch.randn(images[0].numel(), self.classes, generator=torch.Generator().manual_seed(0))
        return images.flatten(1) @ weight / 4


def model(classes=3):
    return Classifies(Net(classes), Facts(1, 28, tuple(f"class {i}" for i in range(classes))))


def picture(count=1):
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(2))


def glance(network, bench, **knobs):
    (told,) = GLANCE.answers(network, GLANCE.params.make(knobs), picture(), bench)
    return told


def test_each_part_is_what_its_own_lens_would_say():
    network, bench = model(), Bench(Setup(device="cpu"))
    told = glance(network, bench)
    net, image = Net(), picture()
    chance = net(image).softmax(1)[0]
    first = int(chance.argmax())
    assert torch.allclose(told["probability"], chance), "few classes stand in their order"
    for name, found in zip(told["view"], told["in_the_view"], strict=True):
        assert found.item() == pytest.approx(net(FAN[name].see(image)).softmax(1)[0, first].item(), abs=1e-5)
    assert told["view"] == list(USUAL)
    for name, found in zip(told["fault"], told["with_the_fault"], strict=True):
        spoilt = CORRUPTIONS[name](image, torch.Generator().manual_seed(0))
        assert found.item() == pytest.approx(net(spoilt).softmax(1)[0, first].item(), abs=1e-5)
    assert torch.allclose(told["still"], net(told["draws"]).softmax(1)[:, first], atol=1e-5)
    whole, each, between = told["nats"].tolist()
    assert whole == pytest.approx(each + between, abs=1e-5)
    assert told["hidden"].max() == 1


def test_a_knob_asks_only_for_what_hangs_on_it():
    network, bench = model(), Bench(Setup(device="cpu"))
    glance(network, bench)
    asked = network.model.asked
    glance(network, bench, m=20)
    assert network.model.asked == asked + 6
    glance(network, bench, m=15)
    assert network.model.asked == asked + 6


def test_a_larger_n_goes_on_with_the_draws_of_a_smaller():
    network, bench = model(), Bench(Setup(device="cpu"))
    one, two = (glance(network, bench, n=n)["applied"] for n in (1, 2))
    assert [word.split(", ")[0] for word in two] == one
    assert glance(network, bench, n=0)["applied"] == ["nothing"] * 6


def test_of_many_classes_the_likeliest_are_shown():
    told = glance(model(40), Bench(Setup(device="cpu")))
    assert len(told["class"]) == 5
    assert (told["probability"].diff() <= 0).all()


def test_answers_are_the_classes_of_all_pictures():
    network = model()
    (told,) = ANSWERS.answers(network, ANSWERS.params.make({}), picture(4), Bench(Setup(device="cpu")))
    chance = Net()(picture(4)).softmax(1)
    assert told["says"] == [f"class {i}" for i in chance.argmax(1).tolist()]
    assert torch.allclose(told["sure"], chance.amax(1))


def test_what_another_lens_asked_is_remembered_and_fits():
    network, bench = model(), Bench(Setup(device="cpu"))
    (fan,) = LOOK_FAN.answers(network, LOOK_FAN.params.make({"views": list(USUAL)}), picture(), bench)
    before = network.model.asked
    told = glance(network, bench)
    alone = Net()
    glance(Classifies(alone, network.facts), Bench(Setup(device="cpu")))
    assert network.model.asked - before == alone.asked - len(FAN)
    assert torch.equal(told["probability"].max(), fan["as_it_is"].max())
