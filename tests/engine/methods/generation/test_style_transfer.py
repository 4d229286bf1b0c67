import itertools

import pytest
import torch

from engine.bench import Bench, Setup
from engine.data.base import Facts
from engine.data.pictures import names, picture
from engine.method import drive
from engine.methods.generation.style_transfer import METHOD, Canvas, StyleParams
from engine.nets.perceptual import DEPTHS, Painting, Target, objective
from engine.ops.colour import recolour, total_variation


def shown(name, size=48):
    return picture(name, size)[None] / 255


def test_a_picture_that_is_its_own_content_and_style_has_no_error():
    image = shown("coffee")
    loss, parts = objective(image, Target("squeezenet", "max", image, image), Painting(smooth=0.0), "both")
    assert loss == 0
    assert all(error == 0 for error in parts.values())


def test_each_term_alone_is_the_definition():
    content, style, image = shown("coffee"), shown("starry_night"), shown("chelsea")
    target = Target("squeezenet", "max", content, style)
    values, wanted = target.at_depths(image), target.at_depths(style)
    expected = 0.0
    for depth in DEPTHS:
        flat, aim = values[depth][0].flatten(1).double(), wanted[depth][0].flatten(1).double()
        one, two = flat @ flat.T / flat.shape[1], aim @ aim.T / aim.shape[1]
        expected += float(((one - two) ** 2).sum() / (two**2).sum()) / 5
    loss, parts = objective(image, target, Painting(smooth=0.0), "style")
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    assert float(parts["style error"]) == pytest.approx(expected, rel=1e-4)
    alone, _ = objective(image, target, Painting(smooth=0.0, content_depth="3"), "content")
    wanted_content = target.at_depths(content)["3"]
    assert float(alone) == pytest.approx(
        float(((values["3"] - wanted_content) ** 2).mean() / wanted_content.var()), rel=1e-5
    )
    both, _ = objective(image, target, Painting(smooth=0.0, content_depth="3", style_weight=7.0), "both")
    assert float(both) == pytest.approx(float(alone) + 7 * expected, rel=1e-4)


def test_depths_count_by_their_weights_and_those_that_weigh_nothing_not_at_all():
    target = Target("squeezenet", "max", shown("coffee"), shown("starry_night"))
    image = shown("chelsea")
    errors = target.style_errors(target.at_depths(image))
    weighed = Painting(smooth=0.0, style_depths=("1", "3", "5"), weight_1=3.0, weight_5=0.0, weight_2=9.0)
    assert weighed.weights == {"1": 0.75, "3": 0.25}
    loss, _ = objective(image, target, weighed, "style")
    assert float(loss) == pytest.approx(0.75 * float(errors["1"]) + 0.25 * float(errors["3"]), rel=1e-5)
    for nothing in (Painting(smooth=0.0, style_depths=()), Painting(smooth=0.0, style_depths=("1",), weight_1=0.0)):
        assert nothing.weights == {}
        assert objective(image, target, nothing, "style")[0] == 0


def test_the_style_error_does_not_see_where_things_are():
    """A Gram matrix forgets places: on features that are rolled around it stays the same."""
    image = shown("gravel")
    target = Target("squeezenet", "max", image, image)
    rolled = {depth: values.roll((3, 5), (2, 3)) for depth, values in target.at_depths(image).items()}
    assert all(error < 1e-10 for error in target.style_errors(rolled).values())
    assert target.content_error(rolled, "2") > 0.5


def test_recolouring_gives_the_colours_of_the_style():
    content, style = shown("coffee"), shown("fruits")
    painted = recolour(content, style * 0.3 + 0.35)
    wanted = (style * 0.3 + 0.35)[0].flatten(1)
    assert torch.allclose(painted[0].flatten(1).mean(1), wanted.mean(1), atol=5e-3)
    assert torch.allclose(torch.cov(painted[0].flatten(1)), torch.cov(wanted), atol=2e-3)


def test_total_variation_of_a_ramp_and_a_flat_picture():
    ramp = torch.arange(4.0).expand(1, 3, 4, 4)
    assert total_variation(ramp) == 1
    assert total_variation(torch.full((1, 3, 4, 4), 0.3)) == 0


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("match", ["both", "content", "style"])
def test_every_way_of_painting_lowers_its_loss(optimizer, match):
    params = StyleParams.make(
        {"optimizer": optimizer, "match": match, "lr": 0.05, "size": 48, "steps": 12, "start": "noise"}
    )
    bench = Bench(Setup(device="cpu"))
    losses = [float(report["loss"]) for report in drive(METHOD, Canvas(params, Facts(3, 48)), params, bench)]
    assert losses[-1] < 0.9 * losses[0]
    if optimizer == "lbfgs":  # the strong Wolfe conditions forbid a step up
        assert all(after <= before * (1 + 1e-5) for before, after in itertools.pairwise(losses))


def test_pictures_by_name(tmp_path):
    assert {"chelsea", "starry_night"} <= set(names())
    assert "starry_night" not in names("photos")
    with pytest.raises(ValueError, match=r"no picture 'chelsae'; use chelsea"):
        picture("chelsae", 32)
    file = tmp_path / "own.jpg"
    file.write_bytes(names()["chelsea"].read_bytes())
    assert torch.equal(picture(str(file), 32), picture("chelsea", 32))
