"""Learnability: rounds of k-means against scikit-learn's, whose features are grouped, and what cannot be."""

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import mutual_info_score, normalized_mutual_info_score

from engine.bench import Bench, Setup
from engine.checkpoint import Checkpoint, write_checkpoint
from engine.data.base import Facts
from engine.maps.measures import contingency, mutual_information, purity
from engine.method import KnobError, drive
from engine.methods.representation.learnability import METHOD, LearnabilityParams, by_lot, one_round
from engine.metrics.neighbours import PIXELS
from engine.showcase import ships
from engine.trained import features_of

FACTS, SETS = Facts(1, 28, tuple("abcdefghij")), {}


def built(facts=FACTS, **values):
    return METHOD.build(LearnabilityParams.make(values, "tiny"), facts)


def ran(seed=0, **values):
    """The model and the last report of a short run."""
    params = LearnabilityParams.make(
        {"features": "pixels", "pictures": 600, "clusters": 5, "trials": 60} | values, "tiny"
    )
    bench = Bench(Setup.make({"device": "cpu", "seed": seed}), sets=SETS)
    model, last = METHOD.build(params, bench.facts(params)), {}
    for last in drive(METHOD, model, params, bench):  # noqa: B007
        pass
    return model, last


def test_rounds_of_k_means_are_those_of_scikit_learn_from_the_same_start():
    draw = torch.Generator().manual_seed(0)
    model = built(clusters=6, features="pixels")
    features = model.features(torch.rand(300, 1, 28, 28, generator=draw))
    start = features[:6].clone()
    model.centres[0] = start
    for _ in range(4):
        one_round(model, 0, features, torch.zeros(300))
    known = KMeans(6, init=start.numpy(), n_init=1, max_iter=4, tol=0, algorithm="lloyd").fit(features.numpy())
    np.testing.assert_allclose(model.centres[0].numpy(), known.cluster_centers_, atol=1e-5)
    assert model.nearest(features).tolist() == known.predict(features.numpy()).tolist()


def test_a_round_never_loosens_and_tells_how_far_pictures_were_from_their_centres():
    model = built(clusters=4, features="pixels")
    features = model.features(torch.rand(200, 1, 28, 28, generator=torch.Generator().manual_seed(1)))
    model.centres[0] = features[:4]
    before = ((features[:, None] - features[None, :4]) ** 2).sum(dim=2).min(dim=1).values.mean()
    told = [one_round(model, 0, features, torch.zeros(200)).item() for _ in range(6)]
    assert told[0] == pytest.approx(before.item(), rel=1e-4)
    assert told == sorted(told, reverse=True)


def test_purity_and_mutual_information_are_those_of_scikit_learn():
    draw = np.random.default_rng(0)
    groups, labels = draw.integers(5, size=300), draw.integers(4, size=300)
    one, two = torch.from_numpy(groups), torch.from_numpy(labels)
    assert mutual_information(one, two) == pytest.approx(normalized_mutual_info_score(labels, groups))
    table = contingency(one, two).numpy()
    assert mutual_info_score(None, None, contingency=table) == pytest.approx(mutual_info_score(labels, groups))
    assert purity(one, two) == pytest.approx(table.max(axis=1).sum() / 300)


def test_pixels_are_learned_and_what_was_drawn_by_lot_is_not():
    _, pixels = ran(trials=400, steps=10)
    model, lot = ran(by="random", trials=400)
    assert pixels["mean_learnability"] > 0.75
    assert abs(pixels["by_lot"] - 0.5) < 0.1
    assert abs(lot["mean_learnability"] - 0.5) < 0.1
    assert pixels["tightest"] <= pixels["loosest"] < lot["tightest"], "groups by lot are no tighter than the whole"
    groups = model.grouped(torch.zeros(600, 784), torch.zeros(600))
    assert torch.equal(groups, by_lot(600, 5, 0))
    assert not torch.equal(groups, by_lot(600, 5, 1))


def test_classes_are_the_groups_when_they_are_asked_for():
    model, last = ran(by="classes", examples=3)
    assert last["purity"] == 1
    assert len(last["group"]) == model.count == 10
    assert all(word.endswith("100%") for word in last["mostly"])


def test_the_best_try_counts_and_what_is_said_is_kept():
    model, last = ran(tries=4, steps=5)
    assert model.centres.shape[0] == 4
    assert (model.literals[:, 0, 0] >= 0).any()
    assert (model.cuts.diff(dim=1) >= 0).all()
    assert last["tightest"] < last["loosest"]


def test_features_are_of_what_is_named():
    assert built(features="pixels").network is PIXELS
    images = torch.rand(4, 1, 28, 28)
    untrained = built(features="untrained")
    torch.testing.assert_close(untrained.features(images).norm(dim=1), torch.ones(4))
    moco = built(features="representation.moco")
    model, embed = features_of("representation.moco", FACTS)
    torch.testing.assert_close(moco.features(images), torch.nn.functional.normalize(embed(images), dim=1))
    assert ships("representation.moco")
    assert not any(p.requires_grad for p in moco.parameters())
    names = list(moco.state_dict())
    assert len(names) == len(model.state_dict()) + 6, "the network is stored, and once"


def test_a_checkpoint_file_is_opened_by_its_path(tmp_path):
    source = features_of("representation.simclr", FACTS)[0]
    path = tmp_path / "mine.safetensors"
    values = source.params.model_dump(mode="json")
    write_checkpoint(path, Checkpoint("representation.simclr", values, FACTS, 7, source.state_dict()))
    images = torch.rand(2, 1, 28, 28)
    mine = built(features=str(path))
    torch.testing.assert_close(mine.features(images), built(features="representation.simclr").features(images))


@pytest.mark.parametrize(
    ("values", "facts", "says"),
    [
        ({"features": "representation.mocco"}, FACTS, "is no method with a trained demo and no checkpoint file"),
        ({"features": "representation.moco"}, Facts(3, 32), "takes pictures of 1 x 28 x 28 and these are 3 x 32 x 32"),
        ({"features": "uncertainty.mc_dropout.scenes"}, FACTS, "takes pictures of 3 x"),
        ({"features": "representation.learnability"}, FACTS, "does not say how it embeds pictures"),
        ({"by": "classes"}, Facts(1, 28), "garments has no classes; group by k-means"),
    ],
)
def test_what_cannot_be_grouped_is_said(values, facts, says):
    with pytest.raises(ValueError, match=says):
        built(facts, **values)


def test_a_judge_who_sees_what_made_the_groups_is_refused():
    with pytest.raises(KnobError, match="judge: it would see what the groups were made of"):
        LearnabilityParams.make({"features": "pixels", "judge": "pixels"})
    LearnabilityParams.make({"features": "pixels", "judge": "pixels", "by": "random"})


def test_groups_that_are_all_too_small_are_said():
    with pytest.raises(ValueError, match=r"one of 101 members.*make fewer groups, or show fewer examples"):
        ran(examples=100, pictures=200)
