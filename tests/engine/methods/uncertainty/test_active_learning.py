"""Active learning: whom it asks about, what it learns from, and that a stopped run asks for the same again."""

import itertools

import pytest
import torch

from engine.bench import Bench, Setup
from engine.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from engine.data.base import Batch, Facts, Memory
from engine.method import KnobError, drive
from engine.methods.uncertainty import active_learning
from engine.methods.uncertainty.active_learning import METHOD, ActiveLearner, ActiveLearningParams, pool_of
from engine.metrics.acquisition import acquisition

FACTS = Facts(1, 12, ("dark", "light", "striped"))


def toy(count, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 60, (count, 1, 12, 12), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % 3
    images[labels == 1] += 150
    images[labels == 2, :, ::4] += 150
    return Memory(Batch(images, torch.arange(count), labels), FACTS)


def bench(resume=None, seed=0):
    sets = {("toy", "train", None): toy(120, 0), ("toy", "test", None): toy(30, 1)}
    return Bench(Setup(device="cpu", looks=1, seed=seed), resume, sets)


def make(**knobs):
    usual = {"data": "toy", "pool": "plain", "start": 6, "ask": 4, "rounds": 3, "passes": 3, "steps": 3,
             "candidates": 30, "batch": 4, "width": 2, "hidden": 8, "tested": 30}  # fmt: skip
    return ActiveLearningParams.make(usual | knobs)


def trained(here=None, **knobs):
    params = make(**knobs)
    torch.manual_seed(0)
    model = METHOD.build(params, FACTS)
    return [dict(report) for report in drive(METHOD, model, params, here or bench())], model


@pytest.mark.parametrize("rule", ["random", "entropy", "margin", "BALD"])
def test_no_picture_is_paid_for_twice(rule):
    _, model = trained(rule=rule)
    known = torch.cat([model.first, model.asked.flatten()])
    assert known.shape == (18,)
    assert known.min() >= 0
    assert len(known.unique()) == 18


def test_it_asks_for_the_highest_scores_among_the_candidates(monkeypatch):
    seen = []

    def spy(told, rule, generator):
        seen.append(acquisition(told, rule, generator))
        return seen[-1]

    chosen = []
    true_highest = active_learning.highest
    monkeypatch.setattr(active_learning, "acquisition", spy)
    monkeypatch.setattr(
        active_learning, "highest", lambda scores, count: chosen.append(true_highest(scores, count)) or chosen[-1]
    )
    trained()
    assert [len(scores) for scores in seen] == [30, 30, 30]
    for scores, places in zip(seen, chosen, strict=True):
        others = torch.ones(30, dtype=torch.bool).index_fill(0, places, False)
        assert scores[places].min() >= scores[others].max()


def test_each_round_learns_from_scratch_from_all_labels_so_far(monkeypatch):
    given, starts = [], []
    true_fit = active_learning.fit

    def spy(net, labelled, p, bench):
        given.append(len(labelled))
        reports = true_fit(net, labelled, p, bench)
        yield next(reports)
        starts.append(net[0].weight.detach().clone())
        yield from reports

    monkeypatch.setattr(active_learning, "fit", spy)
    _, model = trained(lr=1e-6)
    assert given == [6, 10, 14, 18]
    # One tiny step from new weights each time: they would be nearly equal had they been kept.
    assert all((a - b).abs().max() > 0.01 for a, b in itertools.pairwise(starts))
    assert (model.curve >= 0).all()


def test_the_same_candidates_are_left_to_every_rule():
    firsts = [trained(rule=rule)[1].first for rule in ("random", "BALD")]
    assert torch.equal(*firsts)


@pytest.mark.parametrize("stop", [3, 5, 6, 10])
def test_stopped_anywhere_it_asks_for_the_same_again(stop, tmp_path):
    reports, final = trained()
    params = make()
    torch.manual_seed(0)
    model = METHOD.build(params, FACTS)
    here = bench()
    for _ in drive(METHOD, model, params, here):
        if here.done == stop:
            break
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, Checkpoint("toy", {}, FACTS, here.done, model.state_dict(), here.state()))
    torch.manual_seed(99)
    resumed = METHOD.build(params, FACTS)
    again = list(drive(METHOD, resumed, params, bench(read_checkpoint(path, with_state=True))))
    assert [float(report["loss"]) for report in again] == [float(report["loss"]) for report in reports[stop:]]
    for name, value in final.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_pools_are_what_they_are_called():
    labels = torch.arange(400) % 4
    assert torch.equal(pool_of(labels, "plain"), torch.arange(400))
    unbalanced = pool_of(labels, "unbalanced")
    assert torch.bincount(labels[unbalanced]).tolist() == [5, 100, 5, 100]
    assert len(unbalanced.unique()) == 210
    copies = pool_of(labels, "repeated").unique(return_counts=True)
    assert copies[0].shape == (80,)
    assert copies[1].eq(5).all()
    unknown = torch.where(torch.arange(400) < 40, -1, labels)
    assert pool_of(unknown, "plain").min() == 40
    assert torch.equal(pool_of(labels, "unbalanced"), unbalanced)


def test_a_copy_may_be_asked_for_though_the_picture_is_known():
    _, model = trained(pool="repeated", ask=8, candidates=120)
    known = torch.cat([model.first, model.asked.flatten()])
    assert known.unique(return_counts=True)[1].max() <= 5


def test_the_course_counts_what_was_paid_for():
    reports, model = trained()
    told = [report for report in reports if "labels" in report]
    assert [report["labels"] for report in told] == [6, 10, 14, 18]
    assert [len(report["right"]) for report in told] == [1, 2, 3, 4]
    assert torch.equal(told[-1]["right"], model.curve)
    labels = toy(120, 0).rows.labels
    known = torch.cat([model.first, model.asked.flatten()])
    torch.testing.assert_close(told[-1]["share of labels"], torch.bincount(labels[known], minlength=3) / 18)


def answer(name, model, images=None, **knobs):
    lens = next(lens for lens in METHOD.lenses if lens.name == name)
    return list(lens.answers(model, lens.params.make(knobs, "tiny"), images, bench()))[-1]


def test_course_lens_shows_the_chosen_round():
    _, model = trained()
    found = answer("Course", model, round=2)
    data = toy(120, 0)
    expected = data.batch(model.asked[1]).to("cpu")
    assert torch.equal(found["shown"], expected.images)
    assert found["class"] == [FACTS.classes[i] for i in expected.labels.tolist()]
    assert found["labels asked for"].sum(dim=1).tolist() == [6, 4, 4, 4]
    assert found["accuracy"][:, 0].tolist() == [6, 10, 14, 18]
    model.asked[1:] = -1
    assert answer("Course", model, round=1)["rows"] == ["start", "round 1"]
    with pytest.raises(ValueError, match="round: the network has not come to round 3 yet"):
        answer("Course", model, round=9)


def test_next_lens_leaves_out_what_is_known_and_compares_the_rules():
    _, model = trained()
    known = torch.cat([model.first, model.asked.flatten()])
    pictures = toy(120, 0).batch(known).to("cpu").images
    found = answer("What next?", model, rule="margin", candidates=60)
    apart = (found["shown"][:, None] - pictures[None]).abs().flatten(2).sum(dim=2)
    assert apart.min() > 0
    assert found["asked for by both"].diagonal().eq(16).all()
    assert torch.equal(found["asked for by both"], found["asked for by both"].T)
    assert (found["margin"].diff() <= 0).all()
    assert int(found["wanted"].sum()) == 16


def test_what_cannot_be_is_named():
    with pytest.raises(KnobError, match="ask: 50 labels a round are more than the 30 candidates; lower it"):
        make(ask=50)
    with pytest.raises(ValueError, match="rounds: 126 labels are more than the 120 pictures of the pool"):
        trained(rounds=30)
    with pytest.raises(ValueError, match="fewer than two classes"):
        ActiveLearner(make(), Facts(1, 12))
