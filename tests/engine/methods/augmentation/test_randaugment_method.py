"""RandAugment's training and lenses against their definitions."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from engine.augment import OPERATIONS, RandAugment, apply_operation
from engine.bench import Bench, Setup
from engine.data.base import Batch, Facts, Memory
from engine.method import drive
from engine.methods.augmentation import randaugment
from engine.methods.augmentation.randaugment import METHOD, RandAugmentParams

FACTS = Facts(1, 28, ("dark", "light", "striped"))


def toy(count=60, seed=0):
    """Three classes that pixels tell apart, and no white pixel: at M = 0 nothing changes."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 60, (count, 1, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % 3
    images[labels == 1] += 150
    images[labels == 2, :, ::4] += 150
    return Memory(Batch(images, torch.arange(count), labels), FACTS)


def bench(seed=0):
    sets = {("toy", "train", 28): toy(), ("toy", "test", 28): toy(30, seed=1)}
    return Bench(Setup(device="cpu", seed=seed, looks=2), sets=sets)


def trained(**knobs):
    params = RandAugmentParams.make({"data": "toy", "train_images": 0, "steps": 4, "batch": 12, "width": 2} | knobs)
    here = bench()
    model = METHOD.build(params, FACTS)
    return [dict(report) for report in drive(METHOD, model, params, here)], model


@pytest.mark.parametrize("knobs", [{"n": 0}, {"n": 3, "m": 0}])
def test_without_operations_or_magnitude_the_network_sees_the_pictures(knobs):
    reports, _ = trained(**knobs)
    shown = [report for report in reports if "seen" in report]
    assert len(shown) == 2
    # Autocontrast and equalize know no magnitude, so M = 0 leaves all pictures but theirs.
    for report in shown:
        said = report["applied"]
        plain = [i for i, what in enumerate(said) if "autocontrast" not in what and "equalize" not in what]
        assert plain
        assert torch.equal(report["seen"][plain], report["original"][plain])


def test_the_loss_is_cross_entropy_on_what_was_seen():
    params = RandAugmentParams.make({"data": "toy", "train_images": 0, "steps": 1, "batch": 8, "width": 2})
    here = bench()
    model = METHOD.build(params, FACTS)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    (report,) = drive(METHOD, model, params, here)
    fresh = METHOD.build(params, FACTS)
    fresh.load_state_dict(before)
    data = toy()
    rows = [int((data.rows.images.float() / 255 - picture).abs().flatten(1).sum(1).argmin())
            for picture in report["original"]]  # fmt: skip
    expected = F.cross_entropy(fresh.train()(report["seen"]), data.rows.labels[rows])
    assert report["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
def test_mixing_makes_pictures_of_two(mix):
    plain, _ = trained(n=0)
    mixed, _ = trained(n=0, mix=mix, mix_alpha=1.0)
    assert all(torch.equal(report["seen"], report["original"]) for report in plain if "seen" in report)
    assert any(not torch.equal(report["seen"], report["original"]) for report in mixed if "seen" in report)


def test_it_learns_what_pixels_tell():
    reports, _ = trained(steps=60, n=1, width=8)
    assert reports[-1]["test_accuracy"] > 0.9
    assert reports[-1]["loss"] < 0.5 * reports[0]["loss"]


def test_train_images_are_spread_over_the_classes_and_the_baseline_sees_only_them(monkeypatch):
    seen = {}

    def spy(known, asked, classes):
        seen["known"] = torch.cat([batch.labels for batch in known])
        return 0.5

    monkeypatch.setattr(randaugment, "neighbour_accuracy", spy)
    reports, _ = trained(train_images=13)
    assert torch.bincount(seen["known"]).tolist() in ([5, 4, 4], [4, 5, 4], [4, 4, 5])
    assert reports[-1]["neighbours"] == 0.5


def test_motion_of_nothing_is_nothing_and_a_full_shift_is_a_tenth_of_the_side():
    images = torch.rand(2, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    batch = Batch(images, torch.tensor([1, 0]))
    (still,) = randaugment.moved([batch], torch.zeros(2, 3))
    assert torch.allclose(still.images, images, atol=1e-6)
    motion = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])  # of position 0: the second row
    (shifted,) = randaugment.moved([batch], motion)
    assert torch.allclose(shifted.images[1, :, :, :-2], images[1, :, :, 2:], atol=1e-5)
    assert torch.allclose(shifted.images[0], images[0], atol=1e-6)


def test_a_source_without_classes_is_refused():
    with pytest.raises(ValueError, match="photos has fewer than two classes; choose a labelled source"):
        METHOD.build(RandAugmentParams.make({"data": "photos"}), Facts(3, 28))


def answer(name, model, images, **knobs):
    lens = next(lens for lens in METHOD.lenses if lens.name == name)
    with torch.random.fork_rng():
        return list(lens.answers(model, lens.params.make(knobs), images, bench()))[-1]


def pictures(count=3):
    return toy().batch(torch.arange(count)).to("cpu").images


class Constant(nn.Module):
    classes = ("dark", "light")

    def forward(self, images):
        return torch.tensor([[0.0, 2.0]]).expand(len(images), 2)


def test_draws_are_torchvisions_operations_in_the_order_that_is_told():
    images = pictures()
    told = answer("Draws", Constant(), images, n=2, m=20, seed=3)
    again = RandAugment(2, 20)
    decisions = again.draw(3, torch.Generator().manual_seed(3))
    assert torch.equal(told["draw_1"], again.apply(images, decisions))
    for i, said in enumerate(told["in_draw_1"]):
        picture = images[i : i + 1]
        for operation, sign, word in zip(
            decisions.operation[:, i].tolist(), decisions.sign[:, i].tolist(), said.split(", "), strict=True
        ):
            name = OPERATIONS[operation]
            assert word.startswith(name.replace("_", " "))
            picture = apply_operation(picture, name, 20, sign)
        assert torch.allclose(told["draw_1"][i], picture[0], atol=1e-6)
    other = answer("Draws", Constant(), images, n=2, m=20, seed=4)
    assert not torch.equal(told["draw_1"], other["draw_1"])


class Brightness(nn.Module):
    """Calls a picture light with probability sigmoid(20 (mean - 1/2)), dark otherwise."""

    classes = ("dark", "light")

    def forward(self, images):
        score = 20 * (images.mean(dim=(1, 2, 3)) - 0.5)
        return torch.stack([torch.zeros_like(score), score], dim=1)


def test_the_class_is_kept_at_m_0_and_the_course_is_the_average_over_draws():
    images = torch.full((2, 1, 28, 28), 0.4)
    images[1] = 0.7
    images += 0.05 * torch.rand(images.shape, generator=torch.Generator().manual_seed(0))
    told = answer("Still that class?", Brightness(), images, n=1, m=30, draws=64)
    assert told["called"] == ["dark", "light"]
    first = Brightness()(images).softmax(1).max(1).values
    assert torch.allclose(told["probability"], first)
    assert torch.allclose(told["average"][:, 0], torch.arange(0, 31, 3.0))
    assert torch.allclose(told["chance"][:, 1], torch.tensor(0.5))
    assert (told["weakest_picture"][:, 1] <= told["average"][:, 1] + 1e-6).all()
    assert told["average"][-1, 1] < told["average"][0, 1]
    for name, kept in zip(OPERATIONS, told["kept"].tolist(), strict=True):
        each = [Brightness()(apply_operation(images, name, 30, sign)).softmax(1)[[0, 1], [0, 1]] for sign in (1, -1)]
        assert kept == pytest.approx(torch.stack(each).mean().item(), abs=1e-5), name
    assert told["kept"][OPERATIONS.index("identity")] == pytest.approx(first.mean().item())


def test_a_network_that_does_not_look_never_loses_the_class():
    told = answer("Still that class?", Constant(), pictures())
    assert told["lost_at_M"].tolist() == [33, 33, 33]
    assert torch.allclose(told["average"][:, 1], torch.tensor(2.0).sigmoid())


def test_the_sheet_tells_what_takes_no_magnitude_and_what_runs_backwards():
    images = torch.linspace(0.05, 0.95, 28 * 28).view(1, 1, 28, 28)
    released = {"posterize", "solarize"}
    for scale, backwards in (("torchvision", set()), ("tf", released), ("timm", released), ("timm-inc", set())):
        told = answer("Sheet", Constant(), images, scale=scale)
        says = dict(zip(told["operation"], told["with_M"], strict=True))
        assert {name for name, word in says.items() if word == "takes no magnitude"} == {
            "identity", "autocontrast", "equalize"
        }  # fmt: skip
        assert {name for name, word in says.items() if word == "RUNS BACKWARDS"} == backwards
        assert says["color"] == "does nothing"  # a grey picture
        assert told["rotate"].shape == (6, 1, 28, 28)
