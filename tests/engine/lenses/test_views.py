"""The fan's merging is done from memory, and the test pictures tell which views are worth their pass."""

import pytest
import torch
from torch import nn

from engine.augment.fan import FAN, NAMES
from engine.bench import Bench, Setup
from engine.data.base import Facts
from engine.lenses.classifier import Classifies
from engine.lenses.views import LOOK_FAN, WORTH
from engine.metrics.views import merged

SIDES, STRANGE = Facts(1, 28, ("left", "right")), Facts(1, 28, tuple("abcdefghij"))


class Slope(nn.Module):
    """Calls a picture "right" the more its right half is the brighter; counts what it is asked."""

    def __init__(self):
        super().__init__()
        self.asked = 0

    def forward(self, images):
        self.asked += len(images)
        half = images.shape[-1] // 2
        score = 10 * (images[..., half:].mean(dim=(1, 2, 3)) - images[..., :half].mean(dim=(1, 2, 3)))
        return torch.stack([-score, score], dim=1)


def slope(size=28):
    return torch.linspace(0.2, 0.8, size).expand(1, 1, size, size).contiguous()


def last(lens, model, images, bench, **knobs):
    *_, told = lens.answers(model, lens.params.make(knobs), images, bench)
    return told


def test_the_network_is_asked_once_and_a_toggle_is_answered_from_memory():
    net, bench = Slope(), Bench(Setup(device="cpu"))
    model = Classifies(net, SIDES)
    one = last(LOOK_FAN, model, slope(), bench, views=["as it is"])
    assert net.asked == len(NAMES)
    both = last(LOOK_FAN, model, slope(), bench, views=["mirrored", "as it is"], merge="mean of logits")
    assert net.asked == len(NAMES)
    assert one["rows"] == ["as it is"]
    assert both["rows"] == ["as it is", "mirrored"]
    assert one["class"][0] == "right"
    assert one["in_words"][0].endswith("All of them agree.")
    assert both["merged"].tolist() == pytest.approx([0.5, 0.5], abs=1e-3), "a mirror undoes what it sees"
    assert both["in_common"][0, 1] < 0.2
    assert [word.startswith("✓") for word in both["view"]] == [name in ("as it is", "mirrored") for name in NAMES]
    last(LOOK_FAN, model, slope().flip(-1), bench)
    assert net.asked == 2 * len(NAMES)


def test_it_says_who_says_something_else():
    model = Classifies(Slope(), SIDES)
    told = last(LOOK_FAN, model, slope(), Bench(Setup(device="cpu")), views=["as it is", "mirrored", "zoom in"])
    assert "1 of 3 say something else: mirrored (left)." in told["in_words"][0]
    assert told["says"][NAMES.index("mirrored")].startswith("left")


def test_no_view_at_all_is_refused():
    with pytest.raises(ValueError, match="views: none is chosen"):
        last(LOOK_FAN, Classifies(Slope(), SIDES), slope(), Bench(Setup(device="cpu")), views=[])


class Garments(nn.Module):
    """Ten classes by brightness at two places: no good, but the same every time."""

    def forward(self, images):
        weight = torch.randn(images[0].numel(), 10, generator=torch.Generator().manual_seed(0))
        return images.flatten(1) @ weight


def test_the_test_pictures_are_asked_once_and_its_numbers_are_those_of_the_views():
    bench = Bench(Setup(device="cpu"))
    data = bench.data("garments", "test")
    model = Classifies(Garments(), data.facts, "garments")
    told = last(WORTH, model, None, bench, count=60, views=["as it is", "upside down", "blurred"])
    batch = data.batch(torch.arange(60) * len(data) // 60).to("cpu")
    for i, name in enumerate(("as it is", "upside down", "blurred")):
        answers = Garments()(FAN[name].see(batch.images)).argmax(1)
        assert told["right_alone"][i].item() == pytest.approx((answers == batch.labels).float().mean().item())
    logits = torch.stack([Garments()(FAN[name].see(batch.images)) for name in ("as it is", "upside down", "blurred")])
    whole = (merged(logits, "mean of probabilities").argmax(1) == batch.labels).float()
    assert told["right_on_others"][-1].item() == pytest.approx(whole[1::2].mean().item())
    assert told["right_where_chosen"][-1].item() == pytest.approx(whole[::2].mean().item())
    assert told["passes"].tolist()[0] == 1
    assert told["passes"].tolist()[-1] == 3
    assert told["passes"][1] <= told["passes"][2]


def test_without_labels_only_agreement_is_told_and_without_data_that_is_said():
    bench = Bench(Setup(device="cpu"))
    model = Classifies(Garments(), STRANGE, "garments")
    told = last(WORTH, model, None, bench, count=8)
    assert "right_alone" not in told
    assert told["agreement"].shape == (8, 8)
    with pytest.raises(ValueError, match="nobody knows which data this network learned from"):
        last(WORTH, Classifies(Garments(), STRANGE), None, bench)
