"""Lenses on groups: cards show what they say, a trial is one that was dealt, and nobody competes by what judges."""

import pytest
import torch

from engine import catalog
from engine.bench import Bench, Setup
from engine.lenses.concepts import CONCEPTS, DESCRIPTIONS, MEASURED, TRIAL, asked, grouped_set
from engine.lenses.extractors import EXTRACTORS, contestants
from engine.method import drive
from engine.metrics import describer
from engine.metrics.concepts import describe
from engine.ops.attributes import NAMES, attributes

SETS = {}


def bench():
    return Bench(Setup.make({"device": "cpu"}), sets=SETS)


@pytest.fixture(scope="module")
def model():
    method = catalog.method("representation.learnability")
    params = method.params.make(
        {"features": "pixels", "pictures": 1000, "clusters": 6, "trials": 60, "steps": 6}, "tiny"
    )
    made = method.build(params, bench().facts(params))
    for _ in drive(method, made, params, bench()):
        pass
    return made


def look(lens, model, images=None, **values):
    (*_, answer) = lens.answers(model, lens.params.make(values), images, bench())
    return answer


def test_cards_are_of_pictures_that_the_sentences_were_not_made_of(model):
    answer = look(DESCRIPTIONS, model, shown=6)
    data, bank, groups = grouped_set(model, "edges", bench())
    scale, said, fitted = describe(bank, groups, 6, int(model.seed))
    assert answer["description"] == [describer.in_words(one, scale) for one in said]
    fresh = torch.from_numpy(~fitted)
    pixels = data.batch(torch.arange(len(data))).to("cpu").images
    for place, group in enumerate(answer["group"].tolist()):
        fits = torch.from_numpy(describer.holds(said[group - 1], bank.attributes.numpy(), scale))
        member = groups == group - 1
        for name, wanted in (
            ("member_1", member & fits), ("member_3", member & fits), ("missed_1", member & ~fits),
            ("mistaken_1", ~member & fits), ("mistaken_2", ~member & fits),
        ):  # fmt: skip
            shown = answer[name][place]
            there = fresh & wanted
            assert (pixels[there] == shown).flatten(1).all(dim=1).any() or (not shown.any() and there.sum() < 3), name
        share = fits[fresh & member].float().mean()
        assert answer["members_it_fits"][place] == f"{share:.0%}"


def test_what_is_stored_in_the_model_is_what_the_cards_say(model):
    answer = look(DESCRIPTIONS, model, shown=6)
    scale = describer.Scale(model.cuts.numpy(), model.reach.numpy())
    assert [describer.in_words(one, scale) for one in model.literals.numpy()] == answer["description"]
    with pytest.raises(ValueError, match="after: there are 6 groups, so at most 5 can be left out, got 6"):
        look(DESCRIPTIONS, model, after=6)


def test_a_trial_is_the_last_that_was_dealt(model):
    answer = look(TRIAL, model, number=5, examples=4)
    data, _, groups, found = asked(model, TRIAL.params.make({"number": 5, "examples": 4}), 5, bench())
    one = found.trials[-1]
    torch.testing.assert_close(answer["examples"], data.batch(torch.tensor(one.references)).to("cpu").images)
    torch.testing.assert_close(answer["pair"], data.batch(torch.tensor(one.pair)).to("cpu").images)
    assert groups[one.pair[one.answer]] == one.group != groups[one.pair[1 - one.answer]]
    sides = ["the left one", "the right one"]
    assert answer["says_it_is"] == [sides[found.by_examples[-1]], sides[found.by_words[-1]], sides[one.answer]]
    assert [(said == answer["says_it_is"][2]) for said in answer["says_it_is"][:2]] == [
        that == "correct" for that in answer["and_that_is"][:2]
    ]


def test_concepts_count_what_was_asked_and_name_what_is_too_small(model):
    answer = look(CONCEPTS, model, trials=120, examples=5)
    assert answer["groups_asked_about"] == ["6 of 6"] * 2
    assert answer["right"][0].endswith("of 120")
    _, _, groups = grouped_set(model, "edges", bench())
    fresh = torch.from_numpy(~describer.halves(len(groups), 0))
    sizes = torch.bincount(groups[fresh], minlength=6)
    answer = look(CONCEPTS, model, trials=120, examples=30)
    small = [str(group + 1) for group in range(6) if sizes[group] < 31]
    assert answer["groups_asked_about"][0] == f"{6 - len(small)} of 6" + (
        f"; too small: {', '.join(small)}" if small else ""
    )
    assert len(answer["group"]) == 6 - len(small)


def test_measured_says_what_is_measured_and_what_holds(model):
    images = bench().data("garments", "test").batch(torch.arange(12)).to("cpu").images
    answer = look(MEASURED, model, images)
    values = attributes((images * 255).round().byte().numpy())
    for name, column in zip(NAMES, values.T, strict=True):
        assert answer[name].tolist() == pytest.approx(column.tolist())
    groups = model.nearest(model.features(images)).tolist()
    assert answer["falls_into"] == [f"group {group + 1}" for group in groups]
    scale = describer.Scale(model.cuts.numpy(), model.reach.numpy())
    for i, group in enumerate(groups):
        holds = describer.holds(model.literals[group].numpy(), values[i : i + 1], scale)[0]
        assert answer["holds"][i] == ("holds" if holds else "does not hold")


def test_extractors_compete_under_one_deal_and_the_order_is_that_of_learnability(model, monkeypatch):
    ids = ("representation.simclr", "detection.retinanet", "representation.learnability")
    monkeypatch.setattr(catalog, "ids", lambda: ids)
    assert [name for name, _ in contestants(model)] == [
        "this model: pixels", "pixels", "untrained network", "SimCLR"
    ]  # fmt: skip
    seen = list(EXTRACTORS.answers(model, EXTRACTORS.params.make({"pictures": 400, "clusters": 4, "trials": 100}), None,
                                   bench()))  # fmt: skip
    assert [len(one["features"]) for one in seen] == [1, 2, 3, 4, 5, 6], "each as it is known"
    last = seen[-1]
    assert last["learnability"].tolist() == sorted(last["learnability"].tolist(), reverse=True)
    assert last["features"][-1] == "groups by lot"
    told = dict(zip(last["features"], last["learnability"].tolist(), strict=True))
    assert told["this model: pixels"] == pytest.approx(told["pixels"], abs=0.15), "the same features"
    by_pixels = EXTRACTORS.params.make({"pictures": 400, "clusters": 4, "trials": 100, "judge": "pixels"})
    (*_, last) = EXTRACTORS.answers(model, by_pixels, None, bench())
    assert not {"pixels", "this model: pixels"} & set(last["features"]), "they would be judged by what made them"
