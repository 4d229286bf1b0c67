"""The masked autoencoder's loss against loops and closed forms; what its lenses may and may not show."""

import pytest
import torch

from engine.bench import Bench, Setup
from engine.data.base import Facts
from engine.lenses.probed import TOKEN_PROBE
from engine.lenses.tuned import FINE_TUNE
from engine.method import KnobError, drive
from engine.methods.representation.mae import METHOD, MAEParams, masked_loss
from engine.nets.masked_vit import statistics

GENERATOR = torch.Generator().manual_seed(0)
COLOURS = {"data": "photos:crops:40", "size": 32, "patch": 8}


def small(norm_pix=False, channels=1, **values):
    torch.manual_seed(0)
    params = MAEParams.make({"norm_pix": norm_pix, "size": 16, "patch": 4} | values, "tiny")
    return METHOD.build(params, Facts(channels, params.size)).eval()


def masks(model, count, ratio=0.75):
    return model.hide(count, ratio, "random", torch.Generator().manual_seed(1))


def test_the_loss_is_the_mean_over_hidden_patches():
    prediction, target = torch.randn(2, 3, 5, 4, generator=GENERATOR).double()
    mask = torch.tensor([[1, 0, 0, 1, 1], [0, 1, 0, 0, 0], [1, 1, 1, 1, 0]]).double()
    errors = []
    for image in range(3):
        for patch in range(5):
            if mask[image, patch]:
                values = zip(prediction[image, patch].tolist(), target[image, patch].tolist(), strict=True)
                errors.append(sum((a - b) ** 2 for a, b in values) / 4)
    assert masked_loss(prediction, target, mask).item() == pytest.approx(sum(errors) / len(errors))


def test_visible_patches_have_no_gradient():
    prediction = torch.randn(2, 5, 4, generator=GENERATOR, requires_grad=True)
    mask = torch.tensor([[1.0, 0, 0, 1, 1], [0, 1, 0, 0, 0]])
    masked_loss(prediction, torch.zeros(2, 5, 4), mask).backward()
    assert ((prediction.grad != 0).any(dim=2) == mask.bool()).all()


@pytest.mark.parametrize("values", [16, 48, 768])
def test_predicting_nothing_costs_what_the_closed_form_says(values):
    """Of a patch with variance v the targets' mean square is (P - 1) / P * v / (v + 1e-6)."""
    patches = torch.randn(4, 9, values, generator=GENERATOR).double()
    mean, deviation = statistics(patches)
    target = (patches - mean) / deviation
    variance = patches.var(dim=2)
    expected = ((values - 1) / values * variance / (variance + 1e-6)).mean()
    mask = torch.ones(4, 9).double()
    assert masked_loss(torch.zeros_like(target), target, mask).item() == pytest.approx(expected.item(), rel=1e-9)
    assert expected == pytest.approx((values - 1) / values, rel=1e-4)


def test_a_patch_without_contrast_has_nothing_to_paint():
    model = small(norm_pix=True)
    assert torch.equal(model.targets(torch.full((1, 1, 16, 16), 0.7)), torch.zeros(1, 16, 16))


LABELLED = (TOKEN_PROBE, FINE_TUNE)


def test_params_that_cannot_be_say_so():
    with pytest.raises(KnobError, match="patch 5 does not divide the size 28"):
        MAEParams.make({"patch": 5})
    with pytest.raises(KnobError, match=r"ratio 0\.99 leaves 0 of 49 patches visible"):
        MAEParams.make({"ratio": 0.99})
    with pytest.raises(KnobError, match="a width of 64 with 3 heads"):
        MAEParams.make({"heads": 3})


@pytest.fixture(scope="module")
def colours():
    """A run on colour pictures without labels, and its last report."""
    bench, params = Bench(Setup.make({"device": "cpu"}, "tiny")), MAEParams.make(COLOURS, "tiny")
    model = METHOD.build(params, bench.facts(params))
    *_, last = drive(METHOD, model, params, bench)
    return bench, model, last


def test_colours_without_labels(colours):
    _, _, last = colours
    assert last["pasted"].shape == (8, 3, 32, 32)
    assert "neighbours" not in last
    assert last["of_filling"] == pytest.approx(float(last["test_loss"] / last["smooth_filling"]))


@pytest.mark.parametrize("lens", LABELLED, ids=lambda lens: lens.name)
def test_lenses_that_read_labels_say_that_there_are_none(colours, lens):
    bench, model, _ = colours
    with pytest.raises(ValueError, match=r"photos:crops:40 share no classes; choose another set for the lens"):
        list(lens.answers(model, lens.params.make({}, "tiny"), None, bench))


@pytest.mark.parametrize("lens", [lens for lens in METHOD.lenses if lens not in LABELLED], ids=lambda lens: lens.name)
def test_lenses_on_colours_give_the_same_for_the_same_seed(colours, lens):
    bench, model, _ = colours
    images = bench.data(COLOURS["data"], "test", 32).batch(torch.arange(3)).to("cpu").images
    knobs = lens.params.make({}, "tiny")
    for _ in range(2):
        *_, one = lens.answers(model, knobs, images, Bench(Setup(device="cpu")))
        *_, two = lens.answers(model, knobs, images, Bench(Setup(device="cpu", seed=5)))
        for name, value in one.items():
            assert torch.equal(value, two[name]) if torch.is_tensor(value) else value == two[name]
