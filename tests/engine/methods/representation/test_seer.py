"""SEER: one step against the loss done by hand, the stream seen once, and what its lenses say."""

import copy

import pytest
import torch
from torch.nn import functional as F

from engine.bench import Bench, Setup
from engine.data.base import Facts
from engine.data.stream import KINDS
from engine.data.subset import labels_of, spread
from engine.method import drive
from engine.methods.representation.seer import METHOD, SEERParams
from engine.ops.sinkhorn import sinkhorn
from engine.params import KnobError

FACTS = Facts(1, 28, KINDS)
SETS = {}


def bench():
    return Bench(Setup.make({"device": "cpu"}, "tiny"), sets=SETS)


def small(**values):
    torch.manual_seed(0)
    return METHOD.build(SEERParams.make(values, "tiny"), FACTS).eval()


def tiny_run(**values):
    params, on = SEERParams.make(values, "tiny"), bench()
    model = METHOD.build(params, on.facts(params))
    before = copy.deepcopy(model)
    return params, before, list(drive(METHOD, model, params, on))


def test_the_first_step_is_the_algorithm_by_hand():
    params, net, reports = tiny_run(steps=1, warmup=0)
    on = bench()
    METHOD.build(params, on.facts(params))  # takes the same random numbers
    images = next(iter(on.batches(on.data(params.data), params.batch, 1))).images
    crops = net.crops(images, on.generator)
    net.train()
    with torch.no_grad():
        z = [*net.project(torch.cat(crops[:2])).chunk(2), *net.project(torch.cat(crops[2:])).chunk(2)]
        scores = [one @ F.normalize(net.prototypes, dim=1).T for one in z]
    total = []
    for a in range(2):
        q = sinkhorn(scores[a], params.epsilon, params.iterations)
        for v in set(range(4)) - {a}:
            total.append(-(q * (scores[v] / params.temperature).log_softmax(dim=1)).sum(dim=1).mean())
    assert reports[0]["loss"].item() == pytest.approx(torch.stack(total).mean().item(), rel=1e-4)


def test_the_demo_sees_the_stream_once_at_most():
    params = SEERParams.make({})
    assert params.steps * params.batch <= len(bench().data("stream"))
    _, _, reports = tiny_run(steps=3)
    assert reports[-1]["passes"] == pytest.approx(3 * 8 / len(bench().data("stream")))


def test_a_few_curated_pictures_are_as_many_of_each_kind_and_come_again():
    whole = bench().data("garments", "train", 28)
    _, _, reports = tiny_run(data="garments", pictures=20, steps=4)
    assert reports[-1]["passes"] == 4 * 8 / 20
    shown = torch.cat([report["picture"] for report in reports if "picture" in report])
    known = whole.batch(torch.arange(len(whole))).to("cpu").images
    assert all((picture == known).flatten(1).all(dim=1).any() for picture in shown)
    kinds = reports[-1]["of pictures"]
    torch.testing.assert_close(kinds, torch.full_like(kinds, 0.1))
    with pytest.raises(ValueError, match="count: expected 1 to"):
        tiny_run(data="garments", pictures=10**6)


def test_shares_of_kinds_are_those_of_the_stream():
    _, _, reports = tiny_run()
    report = reports[-1]
    some = labels_of(spread(bench().data("stream"), 2000))
    torch.testing.assert_close(report["of pictures"], some.bincount(minlength=len(KINDS)).float() / len(some))
    assert report["kind"] == list(KINDS)
    assert 0 < report["of prototypes"].sum() <= 1.0001
    assert 1 <= report["groups in use"] <= 4


def test_the_network_that_the_knobs_ask_for():
    params = SEERParams.make({})
    assert params.stages == ((params.w0, 2 * params.w0, 4 * params.w0), (1, 1, 2))
    assert SEERParams.make({}, "paper").stages == ((528, 1056, 2904, 7392), (2, 7, 17, 1))
    with pytest.raises(KnobError, match="wm"):
        SEERParams.make({"wm": 1.0})
    for channels in (1, 3):
        net = METHOD.build(SEERParams.make({}, "tiny"), Facts(channels, 28, KINDS)).eval()
        assert net.features(torch.rand(2, channels, 28, 28)).shape == (2, 16)


def test_pictures_without_classes_are_learned_from_too(tmp_path):
    from PIL import Image

    for place in range(12):
        Image.new("L", (28, 28), 20 * place).save(tmp_path / f"{place}.png")
    _, _, reports = tiny_run(data=f"unlabelled:{tmp_path}", judged=f"unlabelled:{tmp_path}", labels=20)
    assert reports[-1]["kind"] == ["anything"]
    assert reports[-1]["loss"].isfinite()


def look(name, model, **knobs):
    lens = next(lens for lens in METHOD.lenses if lens.name == name)
    *_, answer = lens.answers(model, lens.params.make(knobs, "tiny"), None, bench())
    return answer


def test_the_lens_of_the_stream_shows_a_row_a_kind():
    answer = look("Stream", small(), tail=4.0, noise=0.2)
    assert answer["drawn"].sum() == 1200
    assert answer["picture 1"].shape == (len(KINDS), 1, 28, 28)
    curated = look("Stream", small(), tail=0.0, noise=0.0)
    assert curated["expected"].tolist() == pytest.approx([120.0] * 10 + [0.0] * 4)
    assert not curated["picture 6"][10:].any(), "no noise comes: the rows are black"


def test_the_lens_of_owners_asks_for_kinds(tmp_path):
    answer = look("What prototypes went to", small(), bank=60)
    assert answer["of pictures"].sum().item() == pytest.approx(1)
    with pytest.raises(ValueError, match="these pictures have no classes"):
        look("What prototypes went to", small(), data="photos", bank=20)


def test_more_labels_know_more_and_one_draw_is_like_itself():
    answer = look("Few labels", small(), draws=3, asked=200)
    assert answer["pixels"][:, 0].tolist() == [1, 2, 5, 10, 20]
    assert answer["pixels"][-1, 1] > answer["pixels"][0, 1] + 0.1
    again = look("Few labels", small(), draws=3, asked=200)
    assert torch.equal(answer["features"], again["features"])
    with pytest.raises(ValueError, match="judged: 'glyphs' has no classes that its two splits share"):
        look("Few labels", small(judged="glyphs"))
