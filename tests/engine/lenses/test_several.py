"""The lenses of several answers: asked once, exact in what they count, the same whatever the source."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import nn

from engine.bench import Bench, Setup
from engine.data.base import Facts
from engine.lenses import sources
from engine.lenses.classifier import as_classifier
from engine.lenses.doubt import scaled
from engine.lenses.familiar import percentile, verdict
from engine.lenses.reliable import by_doubt, diagram, split, tempered
from engine.lenses.several import pixels, several
from engine.lenses.sources import ask, errors, known, once, said
from engine.methods.uncertainty.deep_ensembles import DeepEnsemble, DeepEnsemblesParams
from engine.methods.uncertainty.mc_dropout import McDropout, McDropoutParams
from engine.metrics.doubts import doubts

FACTS = Facts(1, 28, ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"))
KINDS = ("passes", "networks", "views")
BY_KIND = pytest.mark.parametrize("kind", KINDS)


def model_of(kind):
    """Untrained, but sure of what it says."""
    torch.manual_seed(0)
    if kind == "networks":
        model = DeepEnsemble(DeepEnsemblesParams.make({"width": 2, "hidden": 8, "members": 4}), FACTS).eval()
        model.nets.net[-1].weight.data *= 20
        return model
    model = McDropout(McDropoutParams.make({"width": 4, "hidden": 16}), FACTS).eval()
    model.net[-1].weight.data *= 20
    return as_classifier(model, FACTS, "garments") if kind == "views" else model


def taught(at):
    """Knows a little, so that it is neither always right nor guessing."""
    model = model_of("passes")
    pictures = at.data("garments").batch(torch.arange(0, 10_000, 20)).to("cpu")
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    model.train()
    for _ in range(20):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(pictures.images), pictures.labels).backward()
        optimizer.step()
    return model.eval()


def segmenter():
    torch.manual_seed(0)
    params = McDropoutParams.make({"task": "segment", "data": "scenes:scene64s:64", "width": 2})
    return McDropout(params, Facts(3, 64, ("a", "b", "c", "d"))).eval()


def lens_of(kind, name):
    return next(lens for lens in (*several(kind), pixels(kind)) if lens.name == name)


def bench():
    return Bench(Setup(device="cpu"))


def answer(kind, name, model, images=None, at=None, **knobs):
    lens = lens_of(kind, name)
    return list(lens.answers(model, lens.params.make(knobs), images, at or bench()))[-1]


def images(count=6):
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(0))


# Sources


@BY_KIND
def test_a_source_gives_probabilities_the_same_every_time(kind):
    model = model_of(kind)
    told = ask(kind, model, images())
    assert told.shape == (6, {"passes": 32, "networks": 4, "views": 16}[kind], 10)
    torch.testing.assert_close(told.sum(dim=2), torch.ones(told.shape[:2]))
    assert torch.equal(told, ask(kind, model, images()))
    assert told.std(dim=1).max() > 1e-4


def test_no_dropout_and_all_passes_are_the_usual_answer():
    model = model_of("passes")
    told = ask("passes", model, images(), most=3, times=0.0)
    torch.testing.assert_close(told, once("passes", model, images())[:, None].expand_as(told))


def test_a_single_answer_is_the_first_of_networks_and_of_views():
    for kind in ("networks", "views"):
        torch.testing.assert_close(once(kind, model_of(kind), images()), ask(kind, model_of(kind), images())[:, 0])


def test_pixels_are_seen_as_they_are_and_mirrored_and_put_back():
    model = segmenter()
    pictures = torch.rand(2, 3, 64, 64)
    told = ask("views", model, pictures)
    assert told.shape == (2, 2, 6, 64, 64)
    torch.testing.assert_close(told[:, 1], model(pictures.flip(-1)).softmax(1).flip(-1).detach())


def test_portions_change_nothing(monkeypatch):
    whole = {kind: ask(kind, model_of(kind), images()) for kind in ("networks", "views")}
    monkeypatch.setattr(sources, "PORTION", 28 * 28 * 2)
    for kind, told in whole.items():
        torch.testing.assert_close(ask(kind, model_of(kind), images()), told)


def test_a_network_without_labelled_test_pictures_says_so():
    plain = as_classifier(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), FACTS)
    with pytest.raises(ValueError, match="comes without labelled test pictures"):
        answer("views", "Refusal", plain)
    assert answer("views", "Doubt", plain, images())["answer"][0].split()[0] in FACTS.classes


# Recall


@BY_KIND
def test_dragging_asks_nothing_anew_and_gives_the_same_numbers(kind, monkeypatch):
    model, at, calls = model_of(kind), bench(), Counter()
    given = sources.ask
    monkeypatch.setattr(sources, "ask", lambda *args, **more: calls.update(["asked"]) or given(*args, **more))
    told = given(kind, model, images())
    for count in (4, 2, 3):
        found = answer(kind, "Doubt", model, images(), at, **{kind: count})
        anew = answer(kind, "Doubt", model, images(), bench(), **{kind: count})
        assert calls["asked"] == 2, "once for this bench, and once for the new one"
        calls["asked"] = 1
        part = doubts(told[:, :count])
        assert found["nats"] == anew["nats"]
        assert found["nats"] == [
            f"{a:.2f} + {e:.2f}" for a, e in zip(part["aleatoric"], part["epistemic"], strict=True)
        ]
        assert found["counted"] == count
        assert found["epistemic"][count - 1, 1].item() == pytest.approx(part["epistemic"].mean().item(), abs=1e-6)


def test_other_dropout_and_other_pictures_are_asked_anew():
    model, at = model_of("passes"), bench()
    first = answer("passes", "Doubt", model, images(), at)
    assert answer("passes", "Doubt", model, images(), at, dropout=0.0)["nats"] != first["nats"]
    assert answer("passes", "Doubt", model, 1 - images(), at)["nats"] != first["nats"]
    assert answer("passes", "Doubt", model, images(), at)["nats"] == first["nats"]


# Doubt


def test_a_shared_scale_is_that_of_the_largest_total_and_an_own_one_that_of_each():
    part = {
        "total": torch.tensor([1.0, 2.0]),
        "aleatoric": torch.tensor([0.5, 1.5]),
        "epistemic": torch.tensor([0.5, 0]),
    }
    shared, own = scaled(part, "shared"), scaled(part, "own")
    assert shared["epistemic"].tolist() == [0.25, 0]
    assert own["epistemic"].tolist() == [1, 0]
    assert own["aleatoric"].max() == own["total"].max() == 1


def test_what_would_teach_most_comes_first():
    model = model_of("passes")
    part = doubts(ask("passes", model, images())[:, :20])["epistemic"]
    found = answer("passes", "Doubt", model, images(), order="most contradicted first")
    assert torch.equal(found["pictures"], images()[part.argsort(descending=True)])
    assert (found["answers disagree"].diff() <= 0).all()


def test_maps_are_those_of_each_pixel_and_share_a_scale_or_not():
    model, at = segmenter(), bench()
    pictures = torch.rand(2, 3, 64, 64)
    part = doubts(ask("passes", model, pictures)[:, :5])
    found = answer("passes", "Pixel by pixel", model, pictures, at, passes=5, scale="shared")
    for name, each in part.items():
        torch.testing.assert_close(found[f"{name} doubt"], each, atol=2e-6, rtol=1e-4)
    own = answer("passes", "Pixel by pixel", model, pictures, at, passes=5, scale="own")
    assert own["epistemic doubt"].max() == pytest.approx(1)
    assert found["classes"] == ["a", "b", "c", "d", "ground"]


def test_words_name_the_class_and_how_sure_or_the_things_that_are_seen():
    mean = torch.zeros(1, 10)
    mean[0, 7], mean[0, 0] = 0.75, 0.25
    assert said(model_of("passes"), mean) == ["sneaker 75%"]
    pixelwise = torch.zeros(1, 6, 10, 10)
    pixelwise[:, 0] = 0.5
    assert said(segmenter(), pixelwise) == ["nothing"]
    pixelwise[:, 2, :2] = 1
    assert said(segmenter(), pixelwise) == ["b"]


# Reliability


def test_the_fitted_temperature_is_the_best_on_its_half():
    at = bench()
    model = taught(at)
    found = answer("passes", "Reliability", model, at=at, tested=200, temperature=2.0)
    tests = known("passes", model, lens_of("passes", "Reliability").params.make({}), 200, at)
    mean, truth = tests.after(20)["mean"][::2].double().numpy(), tests.truth[::2].numpy()

    def loss(temperature):
        logits = np.log(mean) / temperature
        return -np.mean(logits[np.arange(len(truth)), truth] - np.log(np.exp(logits).sum(axis=1)))

    best = minimize_scalar(loss, bounds=(0.01, 100), method="bounded", options={"xatol": 1e-8}).x
    assert 0.02 < best < 50, "there is a best one within bounds"
    assert found["temperature"][3].item() == pytest.approx(best, rel=1e-3)
    assert found["temperature"].tolist()[:3] == [1, 1, 2]
    assert found["NLL"][1] == pytest.approx(found["NLL at a temperature"][20, 1].item(), rel=1e-5), (
        "the curve's middle is at 1"
    )
    assert len(set(found["is right in"][1:].tolist())) == 1, "a temperature changes no answer"


def test_a_temperature_of_one_leaves_what_is_said():
    p = torch.tensor([[0.7, 0.2, 0.1]])
    torch.testing.assert_close(tempered(p, 1.0), p)
    torch.testing.assert_close(tempered(p, 0.5), p.square() / p.square().sum())
    assert tempered(torch.tensor([[1.0, 0.0]]), 4.0).isfinite().all()


def test_the_diagram_is_its_definition():
    p = torch.tensor([[0.95, 0.05], [0.91, 0.09], [0.45, 0.55], [0.58, 0.42]])
    found = diagram(p, torch.tensor([0, 1, 1, 0]), bins=10)
    assert found[:, 0].tolist() == pytest.approx([(0.55 + 0.58) / 2, 0.93])
    assert found[:, 1].tolist() == pytest.approx([1.0, 0.5])


# Refusal


@pytest.mark.parametrize("answered", [0.02, 0.335, 0.8, 1.0])
def test_the_cut_off_counts_exactly(answered):
    model, at = model_of("passes"), bench()
    found = answer("passes", "Refusal", model, at=at, tested=200, answered=answered, by="total", passes=7)
    tests = known("passes", model, lens_of("passes", "Refusal").params.make({}), 200, at)
    now = tests.after(7)
    wrong = (now["mean"].argmax(1) != tests.truth).numpy()
    kept = round(answered * 200)
    order = np.argsort(now["total"].numpy(), kind="stable")
    assert found["pictures"].tolist() == [kept, 200 - kept, 200]
    assert found["wrong"].tolist() == [wrong[order[:kept]].sum(), wrong[order[kept:]].sum(), wrong.sum()]
    assert found["cut"] == kept / 200
    assert found["total"][kept - 1].tolist() == pytest.approx([kept / 200, wrong[order[:kept]].mean()])
    assert len(found["kept"]) == len(found["kept called"]) == min(16, kept)
    assert ("refused" in found) == (kept < 200)
    if kept < 200:
        assert torch.equal(found["refused"][0], tests.images[order[kept]])
        assert len(found["refused"]) == min(16, 200 - kept)
        names = zip(found["refused called"], found["refused truly"], order[kept:], strict=False)
        assert all((truly == "right") == (not wrong[i]) for _, truly, i in names)


def test_both_sides_begin_at_the_cut():
    kept, refused = split(torch.tensor([0.3, 0.1, 0.4, 0.2]), 0.5)
    assert kept.tolist() == [3, 1]
    assert refused.tolist() == [0, 2]
    assert split(torch.tensor([0.3, 0.1]), 0.0)[0].tolist() == [1], "one is kept at least"


def test_groups_of_rising_doubt_hold_all_errors():
    doubt, wrong = torch.rand(100, generator=torch.Generator().manual_seed(0)), torch.arange(100) % 3 == 0
    found = by_doubt(doubt, wrong.double())
    assert len(found) == 10
    assert (found[:, 0].diff() > 0).all()
    assert found[:, 1].sum().item() * 10 == pytest.approx(wrong.sum().item())


def test_errors_of_pixels_are_shares_and_void_does_not_count():
    mean = torch.zeros(1, 2, 2, 2)
    mean[:, 1] = 1
    assert errors(mean, torch.tensor([[[1, 0], [255, 1]]])).tolist() == [pytest.approx(1 / 3)]
    assert errors(torch.eye(2), torch.tensor([0, 0])).tolist() == [0, 1]


# Strangers


def test_a_percentile_is_the_share_below_and_half_of_the_equal():
    among = torch.tensor([1.0, 2.0, 2.0, 3.0])
    assert percentile(torch.tensor([0.0, 2.0, 2.5, 9.0]), among).tolist() == [0, 0.5, 0.75, 1]


def test_a_verdict_is_as_strict_as_the_alarm():
    assert [verdict(place, 0.05) for place in (0.5, 0.81, 0.951)] == ["as any it knows", "unusual", "strange to it"]
    assert verdict(0.951, 0.01) == "as any it knows"


@BY_KIND
def test_the_tray_holds_mine_then_others_each_at_its_place(kind):
    model, at = model_of(kind), bench()
    found = answer(kind, "Strangers", model, images(3), at, tested=40, by="total")
    assert found["tray"].shape == (11, 1, 28, 28)
    assert torch.equal(found["tray"][:3], images(3))
    share = [(found["known pictures"] < mine).float().mean().item() for mine in found["in the tray"]]
    assert found["percentile"].tolist() == pytest.approx(share, abs=1e-6)
    assert len(found["of the other set"]) == 40
    assert all(0 <= area <= 1 for area in found["AUROC"].tolist())
    other = answer(kind, "Strangers", model, images(3), at, tested=40, beside="photos")
    assert not torch.equal(other["tray"][3], found["tray"][3])


# Corruption


@BY_KIND
def test_the_ladder_grows_and_its_first_rung_is_the_picture(kind):
    model, lens = model_of(kind), lens_of(kind, "Corruption")
    first, *_, last = lens.answers(model, lens.params.make({"tested": 20}), images(1), bench())
    assert torch.equal(first["picture"][0], images(1)[0])
    assert not any(name.startswith("right/") for name in first)
    for name in ("right/a single answer", f"total/{kind}", "epistemic/views"):
        assert last[name][:, 0].tolist() == [0, 1, 2, 3, 4, 5]
    count = {"passes": 20, "networks": 4, "views": 16}[kind]
    sure = ask(kind, model, first["picture"])[0, :count].mean(dim=0).max()
    assert last["still its first answer"][0].item() == pytest.approx(sure.item(), rel=1e-5)
    assert first["picture"].shape == (6, 1, 28, 28)


@pytest.mark.parametrize("name", ["Pixel by pixel", "Doubt", "Reliability", "Refusal", "Strangers", "Corruption"])
def test_every_lens_answers_for_scenes_too(name):
    model, lens = segmenter(), lens_of("passes", name)
    pictures = lens.given(torch.rand(2, 3, 64, 64))
    *_, found = lens.answers(
        model,
        lens.params.make({"passes": 2, **({"tested": 96} if name == "Refusal" else {})}, "tiny"),
        pictures,
        bench(),
    )
    names = {name for exhibit in lens.exhibits for name in exhibit.names}
    assert names <= set(found)
    assert all(math.isfinite(value.float().sum()) for value in found.values() if torch.is_tensor(value))
