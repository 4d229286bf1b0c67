"""RandAugment's training and lenses against their definitions."""

import pytest
import torch
import torch.nn.functional as F

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

    def spy(embed, known, asked, classes, k):
        seen["known"] = torch.cat([batch.labels for batch in known])
        return torch.tensor(0.5)

    monkeypatch.setattr(randaugment, "knn_accuracy", spy)
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
