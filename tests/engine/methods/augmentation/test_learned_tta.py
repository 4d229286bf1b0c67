"""Learned test-time augmentation: what the predictor is taught, how views are chosen, and what can be proved of it."""

from typing import get_args

import pytest
import torch

from engine.augment.candidates import CANDIDATES, views
from engine.augment.corruptions import CORRUPTIONS
from engine.augment.faulty import Fault
from engine.bench import Bench, Setup
from engine.data.base import Batch, Facts, Memory
from engine.data.subset import part
from engine.method import drive
from engine.methods.augmentation import learned_tta
from engine.methods.augmentation.learned_tta import METHOD, SEEN, LearnedTTAParams, lessons
from engine.metrics.chosen_views import best, chosen_mean, view_losses, ways

FACTS = Facts(1, 28, ("dark", "light", "striped"))


def toy(count, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 60, (count, 1, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % 3
    images[labels == 1] += 150
    images[labels == 2, :, ::4] += 150
    return Memory(Batch(images, torch.arange(count), labels), FACTS)


def bench():
    sets = {("toy", "train", 28): toy(90, 0), ("toy", "test", 28): toy(30, 1)}
    return Bench(Setup(device="cpu", looks=1), sets=sets)


def make(**knobs):
    usual = {"data": "toy", "lessons": 60, "steps": 3, "target_steps": 3, "batch": 8, "width": 2, "hidden": 8,
             "asked": 8}  # fmt: skip
    return LearnedTTAParams.make(usual | knobs)


def build(**knobs):
    torch.manual_seed(0)
    return METHOD.build(make(**knobs), FACTS).eval()


def told(count=9, classes=3):
    return (2 * torch.randn(count, 12, classes, generator=torch.Generator().manual_seed(0))).softmax(dim=2)


def pictures(count=4):
    return toy(count, 3).batch(torch.arange(count)).to("cpu").images


def test_the_names_of_faults_are_those_that_there_are():
    assert get_args(Fault) == tuple(CORRUPTIONS)


def test_the_predictor_is_taught_the_frozen_classifiers_losses_on_pictures_it_keeps():
    model, here = build(), bench()
    data = toy(90, 0)
    taught = lessons(model, part(data, torch.arange(40, 90)), model.params, here)
    assert taught["images"].shape == (60, 1, 28, 28)
    assert torch.equal(taught["labels"], data.rows.labels[40 + torch.arange(60) % 50])
    for i in (0, 17, 59):
        seen = views(taught["images"][i : i + 1].float() / 255)[0]
        expected = -model.target(seen).softmax(dim=1)[:, taught["labels"][i]].log()
        torch.testing.assert_close(taught["losses"][i], expected.detach(), atol=1e-5, rtol=1e-5)


def test_classifier_and_predictor_share_no_picture(monkeypatch):
    seen = {}
    monkeypatch.setattr(learned_tta, "lessons", lambda model, data, p, bench: seen.update(rest=data) or taught(p))
    true_fit = learned_tta.fit_target
    monkeypatch.setattr(learned_tta, "fit_target", lambda model, data, p, bench: seen.update(own=data) or
                        true_fit(model, data, p, bench))  # fmt: skip

    def taught(p):
        return {"images": torch.zeros(p.lessons, 1, 28, 28, dtype=torch.uint8),
                "labels": torch.zeros(p.lessons, dtype=torch.long), "losses": torch.rand(p.lessons, 12)}  # fmt: skip

    list(drive(METHOD, build(), make(share=0.6), bench()))
    own, rest = ({row.numpy().tobytes() for row in seen[name].rows.images} for name in ("own", "rest"))
    assert (len(own), len(rest)) == (54, 36)
    assert not own & rest


def test_the_predictors_training_leaves_the_classifier_as_it_is():
    params, here = make(), bench()
    model = METHOD.build(params, FACTS)
    frozen, report = {}, {}
    for report in drive(METHOD, model, params, here):  # noqa: B007
        if here.done == params.target_steps:  # the last report of the classifier
            frozen = {name: value.clone() for name, value in model.target.state_dict().items()}
    assert all(torch.equal(value, frozen[name]) for name, value in model.target.state_dict().items())
    assert {"accuracy", "accuracy all views", "share right"} <= set(report)


def test_all_twelve_are_plain_test_time_augmentation():
    model, images = build(k=12), pictures()
    plain = torch.stack([model.target(view(images)).softmax(dim=1) for view in CANDIDATES.values()]).mean(dim=0)
    torch.testing.assert_close(model(images).exp(), plain.detach(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(model.told(images).mean(dim=1), plain.detach(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("k", [1, 3])
def test_the_answer_is_the_mean_over_the_best_views_and_only_they_are_asked(k, monkeypatch):
    model, images = build(k=k), pictures()
    chosen = best(model.hopes(images), k)
    expected = chosen_mean(model.told(images), chosen)
    asked = []
    true_forward = model.target.forward
    monkeypatch.setattr(model.target, "forward", lambda images: asked.append(len(images)) or true_forward(images))
    torch.testing.assert_close(model(images).exp(), expected, atol=1e-5, rtol=1e-4)
    assert sum(asked) == k * len(images)


def test_a_mirrored_picture_has_the_hopes_mirrored():
    model, images = build(), pictures()
    straight, mirrored = model.hopes(images), model.hopes(images.flip(-1))
    left, right = list(CANDIDATES).index("turn left"), list(CANDIDATES).index("turn right")
    torch.testing.assert_close(straight[:, left], mirrored[:, right])
    torch.testing.assert_close(straight[:, 0], mirrored[:, 0])
    torch.testing.assert_close(straight.sum(dim=1), torch.ones(4))


def test_no_choice_of_views_has_a_lower_loss_than_the_oracle():
    given, labels = told(200), torch.arange(200) % 3
    hopes = torch.rand(200, 12, generator=torch.Generator().manual_seed(1))
    answers = ways(given, hopes, labels, 4)
    assert list(answers) == ["as it is", "all 12", "random 4", "learned 1", "learned 3", "learned 4", "oracle"]
    true = {name: -answer[torch.arange(200), labels].log() for name, answer in answers.items()}
    for name, loss in true.items():
        assert (true["oracle"] <= loss + 1e-5).all(), name
    torch.testing.assert_close(true["oracle"], view_losses(given, labels).amin(dim=1))


def test_view_losses_and_means_are_their_definitions():
    given, labels = told(), torch.arange(9) % 3
    chosen = best(torch.rand(9, 12, generator=torch.Generator().manual_seed(2)), 2)
    for i in range(9):
        for j in range(12):
            assert view_losses(given, labels)[i, j].item() == pytest.approx(-given[i, j, labels[i]].log().item())
        a, b = chosen[i].tolist()
        torch.testing.assert_close(chosen_mean(given, chosen)[i], (given[i, a] + given[i, b]) / 2)


def test_the_best_come_first_and_k_has_its_limits():
    assert best(torch.tensor([[0.1, 0.5, 0.4], [0.3, 0.3, 0.2]]), 2).tolist() == [[1, 2], [0, 1]]
    for k in (0, 4):
        with pytest.raises(ValueError, match=f"k: expected 1 to 3 views, got {k}"):
            best(torch.rand(1, 3), k)


def test_random_choice_ends_with_the_random_share():
    reports = list(drive(METHOD, build(choose="random", k=2), make(choose="random", k=2), bench()))
    last = reports[-1]
    column = last["way"].index("random 2")
    torch.testing.assert_close(last["accuracy"], last["share right"][:SEEN, column].mean())
    torch.testing.assert_close(last["new faults"], last["share right"][SEEN:].mean(dim=0))


def answer(name, model, images=None, **knobs):
    lens = next(lens for lens in METHOD.lenses if lens.name == name)
    return list(lens.answers(model, lens.params.make(knobs, "tiny"), images, bench()))[-1]


def test_views_lens_fans_out_from_the_most_promising():
    model, images = build(), pictures()
    found = answer("Views", model, images, fault="none", picture=2, k=1)
    order = best(model.hopes(images), 12)
    assert torch.equal(found["fan"], views(images)[1, order[1]])
    assert torch.equal(found["first choice"], views(images)[torch.arange(4), order[:, 0]])
    assert (found["hope"].diff() <= 0).all()
    assert found["chosen"] == [list(CANDIDATES)[j] for j in order[:, 0].tolist()]
    with pytest.raises(ValueError, match="picture: there are 4 pictures, got 9"):
        answer("Views", model, images, picture=9)


def test_known_lens_shows_the_true_losses_in_the_foretold_order():
    model = build()
    found = answer("Foretold and true", model, fault="dark", picture=3, k=2)
    image = toy(30, 1).batch(torch.tensor([2])).to("cpu").images ** 2.5
    torch.testing.assert_close(found["given"], image)
    expected = view_losses(model.told(image), torch.tensor([2]))[0, best(model.hopes(image), 12)[0]]
    torch.testing.assert_close(found["true loss"], expected)
    assert found["true place"].sort().values.tolist() == pytest.approx(list(range(1, 13)), abs=2)
    assert [name.endswith("*") for name in found["view"]] == [True] * 2 + [False] * 10


def test_with_all_views_every_choice_is_the_same():
    found = answer("How many", build(), count=20)
    ends = {name: found[name][-1, 1].item() for name in ("learned", "random", "by true loss")}
    assert len(set(ends.values())) == 1
    assert found["learned"][:, 0].tolist() == list(range(1, 13))
    assert found["as it is"][:, 1].unique().numel() == 1


def test_every_way_is_measured_with_every_fault():
    model, here = build(), bench()
    lens = next(lens for lens in METHOD.lenses if lens.name == "Every way")
    (found,) = lens.answers(model, lens.params.make({"count": 10, "k": 2}), None, here)
    assert found["share right"].shape == (len(CORRUPTIONS), 7)
    batch = toy(30, 1).batch(torch.arange(10) * 3).to("cpu")
    torch.testing.assert_close(
        found["sound pictures"][0], (model.target(batch.images).argmax(1) == batch.labels).float().mean()
    )
    column = found["columns"].index("all 12")
    dark = model.told(batch.images**2.5).mean(dim=1).argmax(1) == batch.labels
    torch.testing.assert_close(found["share right"][list(CORRUPTIONS).index("dark"), column], dark.float().mean())
    assert dict(zip(found["way"], found["passes"].tolist(), strict=True)) == {
        "as it is": 1, "all 12": 12, "random 2": 2, "learned 1": 1, "learned 2": 2, "learned 3": 3, "oracle": 12,
    }  # fmt: skip
    torch.testing.assert_close(found["mean over faults"], found["share right"][1:].mean(dim=0))


def test_again_stops_when_the_picture_is_best_as_it_is(monkeypatch):
    model, images = build(), pictures()
    monkeypatch.setattr(model, "hopes", lambda images: torch.eye(12)[torch.zeros(len(images), dtype=torch.long)])
    found = answer("Again", model, images, fault="none")
    assert torch.equal(found["after 3 views"], images)
    assert found["views"] == ["none"] * 4
    turning = torch.eye(12)[list(CANDIDATES).index("turn left")]
    monkeypatch.setattr(model, "hopes", lambda images: turning.expand(len(images), -1))
    found = answer("Again", model, images, fault="none")
    once = CANDIDATES["turn left"](images)
    assert torch.equal(found["after 1 view"], once)
    assert torch.equal(found["after 2 views"], CANDIDATES["turn left"](once))
    assert found["views"][0] == "turn left, then turn left, then turn left"


def test_a_source_without_classes_is_refused():
    with pytest.raises(ValueError, match="fewer than two classes; choose a labelled source"):
        METHOD.build(make(data="photos"), Facts(3, 28))
