import pytest
import torch

from engine.bench import Bench, Setup
from engine.data.pictures import picture
from engine.lenses import painting
from engine.lenses.painting import (
    DEPTHS_ALONE,
    ERRORS_BY_DEPTH,
    RATIOS,
    TRANSFER,
    Easel,
    RatiosParams,
    TransferParams,
    at_size,
    paint,
)
from engine.nets.perceptual import Painting, Target
from engine.ops.colour import recolour

CAT = picture("chelsea", 96)[None] / 255


@pytest.fixture
def bench():
    return Bench(Setup(device="cpu"))


def looked(lens, knobs, bench, earlier=None):
    model = torch.nn.Identity()
    return list(lens.answers(model, lens.params.make({"size": 48} | knobs), CAT, bench, earlier))


@pytest.mark.parametrize(("steps", "shown"), [(1, [0, 1]), (5, [0, 1, 2, 3, 4, 5]), (40, list(range(0, 41, 2)))])
def test_a_painting_is_shown_before_its_first_step_and_twenty_times_on_its_way(steps, shown):
    image = picture("coffee", 32)[None] / 255
    target = Target("squeezenet", "max", image, image)
    found = list(paint(image, target, Painting(), "both", steps))
    assert [step for step, _, _ in found] == shown
    assert torch.equal(found[0][1], image)
    assert found[0][2]["style error"] == 0


def test_the_first_moment_is_the_content_in_the_colours_of_the_style_at_the_size_asked_for(bench):
    first, *_, last = looked(TRANSFER, {"steps": 3, "style": "smarties"}, bench)
    style = picture("smarties", 48)[None] / 255
    assert torch.allclose(first["result"], recolour(at_size(CAT, 48), style))
    assert first["content"].shape == (1, 3, 48, 48)
    assert last["style error"][:, 0].tolist() == [0, 1, 2, 3]
    assert last["layer"] == ["relu1", "fire3", "fire5", "fire7", "fire9"]
    assert set(last["network"]) == {"SqueezeNet 1.1"}
    assert last["style error"][-1, 1] == pytest.approx(float(last["style_error"].mean()), rel=1e-5)
    assert last["style error"][0, 1] == pytest.approx(float(first["style_error"].mean()), rel=1e-5)
    assert last["content error"][-1, 1] == pytest.approx(float(last["content_error"][3]), rel=1e-5)
    assert last["style error"][-1, 1] < last["style error"][0, 1]


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_painting_goes_on_from_an_earlier_canvas_with_the_knobs_as_they_are_now(bench, optimizer):
    *_, half, _ = looked(TRANSFER, {"steps": 4, "start": "noise"}, bench)
    first, *_, last = looked(TRANSFER, {"steps": 2, "optimizer": optimizer, "start": "style"}, bench, half)
    assert torch.equal(first["result"], half["result"]), "not from the style: from the canvas"
    assert last["style error"][:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    for name in ERRORS_BY_DEPTH:
        assert torch.equal(last[name][: len(half[name])], half[name])
    larger = looked(TRANSFER, {"steps": 1, "size": 64}, bench, half)[0]
    assert torch.equal(larger["result"], at_size(half["result"], 64))


def test_a_lens_that_always_begins_anew_is_not_told_of_an_earlier_look(bench):
    assert not RATIOS.goes_on
    (first, *_) = looked(RATIOS, {"steps": 1}, bench, {"result": None})
    assert first["pictures"].shape[0] == 5


def test_ratios_are_a_factor_apart_and_the_one_that_is_set_is_the_last_but_one(bench):
    params = RatiosParams.make({"count": 3, "factor": 4.0, "style_weight": 2.0})
    first, *_, last = looked(RATIOS, params.model_dump() | {"steps": 20, "size": 48}, bench)
    assert first["weight"] == ["content", "1 : 0.5", "1 : 2", "1 : 8"]
    assert torch.equal(first["pictures"][1], first["pictures"][3])
    style_left = [float(said.split(" : ")[1]) for said in last["errors"][1:]]
    content_left = [float(said.split(" : ")[0]) for said in last["errors"][1:]]
    assert style_left[0] > style_left[-1]
    assert content_left[0] < content_left[-1]


def test_a_shallow_depth_gives_the_picture_back_and_a_deep_one_less_of_it(bench):
    *_, last = looked(DEPTHS_ALONE, {"steps": 60, "what": "content"}, bench)
    off = [float((last[f"depth {depth}"] - last["original"]).abs().mean()) for depth in "15"]
    assert off[0] < 0.06
    assert off[1] > 2 * off[0]


def test_vgg_is_taken_only_where_its_weights_are(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert Easel().network == "squeezenet"
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / painting.VGG19_FILE).touch()
    assert Easel().network == "vgg19"
    assert Easel(backbone="lite0").network == "lite0"
    assert TransferParams().network == "vgg19"
