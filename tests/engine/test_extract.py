"""Features of a set against one pass by hand, and what is kept of them: once, whole, within its limit."""

import math
import os

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from engine import extract as module
from engine import features as kept
from engine.bench import Bench, Setup
from engine.data.base import Batch, Facts, Memory
from engine.extract import drawn, embedder, extract, key_of
from engine.features import Features, keep_features, read_features
from engine.nets.classifier import Classifier, backbone
from engine.nets.pretrained import imagenet

FACTS = Facts(1, 64, ("ant", "bee", "cat"))
BENCH = Bench(Setup(device="cpu"))


def pictures(count=230, seed=0, labelled=True):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 1, 64, 64), generator=generator, dtype=torch.uint8)
    return Memory(Batch(images, torch.arange(count), labels=torch.arange(count) % 3 if labelled else None), FACTS)


def classifier(seed=0):
    torch.manual_seed(seed)
    return Classifier(backbone("small", 1, width=2), 3, dropout=0.5)


def whole(work):
    """What a generator yields, and its value."""
    told = []
    while True:
        try:
            told.append(next(work))
        except StopIteration as end:
            return told, end.value


def same(one, two):
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in vars(one))


def test_features_answers_and_thumbnails_are_those_of_one_pass(tmp_path):
    data, model = pictures(), classifier()
    model.train()
    told, found = whole(extract(tmp_path, "a1", None, model, data, BENCH))
    assert told == [(100, 230), (200, 230), (230, 230)]
    assert model.training
    model.eval()
    with torch.no_grad():
        images = data.rows.images.float() / 255
        features, probabilities = model.backbone(images), model(images).softmax(dim=1)
    np.testing.assert_allclose(found.features, features, atol=1e-5)
    assert (found.predictions == probabilities.argmax(dim=1).numpy()).all()
    np.testing.assert_allclose(found.confidence, probabilities.amax(dim=1), atol=1e-5)
    np.testing.assert_allclose(found.entropy, -(probabilities * probabilities.log()).sum(dim=1), atol=1e-5)
    assert found.entropy.max() <= math.log(3) + 1e-6
    assert found.classes == FACTS.classes
    assert (found.labels == np.arange(230) % 3).all()
    assert found.thumbnails.shape == (230, 1, 48, 48)
    expected = F.interpolate(data.rows.images.float(), size=48, mode="area").round().byte()
    assert (found.thumbnails == expected.numpy()).all()


def test_the_second_who_asks_reads_what_the_first_kept(tmp_path, monkeypatch):
    data, model = pictures(), classifier()
    key = key_of("toy", {}, model, data, "toy", BENCH)
    _, first = whole(extract(tmp_path, key, None, model, data, BENCH))
    monkeypatch.setattr(module, "embedder", lambda *_: pytest.fail("it computed again"))
    told, again = whole(extract(tmp_path, key, None, model, data, BENCH))
    assert told == [(230, 230)]
    assert same(first, again)
    assert same(first, read_features(tmp_path, key))


def test_the_key_changes_with_weights_knobs_data_and_precision():
    data, model = pictures(), classifier()
    key = key_of("toy", {"n": 1}, model, data, "toy", BENCH)
    assert key == key_of("toy", {"n": 1}, classifier(), pictures(), "toy", Bench(Setup(device="cpu")))
    changed = classifier()
    with torch.no_grad():
        changed.head.bias[0] += 1e-6
    others = [
        key_of("toy", {"n": 2}, model, data, "toy", BENCH),
        key_of("other", {"n": 1}, model, data, "toy", BENCH),
        key_of("toy", {"n": 1}, changed, data, "toy", BENCH),
        key_of("toy", {"n": 1}, model, pictures(seed=1), "toy", BENCH),
        key_of("toy", {"n": 1}, model, data, "toy", Bench(Setup(device="cpu", precision="bf16"))),
    ]
    assert len({key, *others}) == 6


class Projection(nn.Module):
    """No `forward`, as a method without classes."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(64 * 64, 5)


class Embedding:
    """What `extract` needs of a method."""

    @staticmethod
    def embed(model, images):
        return model.map(images.flatten(1))


def test_a_network_that_does_not_classify_has_features_alone(tmp_path):
    _, found = whole(extract(tmp_path, "b", Embedding, Projection(), pictures(labelled=False), BENCH))
    assert found.features.shape == (230, 5)
    assert found.predictions is found.confidence is found.entropy is None
    assert (found.labels == -1).all()
    assert same(found, read_features(tmp_path, "b"))
    with pytest.raises(ValueError, match="this method does not say how it embeds pictures"):
        embedder(None, Projection())


def test_a_method_that_embeds_otherwise_than_by_its_backbone_still_classifies(tmp_path):
    class Pixels:
        @staticmethod
        def embed(_, images):
            return images.flatten(1)[:, :7]

    data, model = pictures(20), classifier().eval()
    _, found = whole(extract(tmp_path, "c", Pixels, model, data, BENCH))
    with torch.no_grad():
        expected = model(data.rows.images.float() / 255).softmax(dim=1).amax(dim=1)
    np.testing.assert_allclose(found.confidence, expected, atol=1e-5)


def test_who_stops_leaves_nothing_behind_and_what_is_damaged_is_made_again(tmp_path):
    data, model = pictures(), classifier()
    work = extract(tmp_path, "d", None, model, data, BENCH)
    next(work)
    work.close()
    assert list(tmp_path.iterdir()) == []
    _, found = whole(extract(tmp_path, "d", None, model, data, BENCH))
    path = tmp_path / "d.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    assert read_features(tmp_path, "d") is None
    assert same(found, whole(extract(tmp_path, "d", None, model, data, BENCH))[1])


def made(count):
    return Features(np.zeros((count, 100), np.float32), np.zeros(count, int), np.zeros((count, 1, 2, 2), np.uint8), ())


def test_the_folder_keeps_its_limit_and_the_longest_unasked_goes_first(tmp_path):
    for age, key in ((300, "a"), (200, "b"), (100, "c")):
        keep_features(tmp_path, key, made(100), {})
        os.utime(tmp_path / f"{key}.safetensors", (1e9 - age, 1e9 - age))
    assert read_features(tmp_path, "a") is not None  # asked for now, so b is the oldest
    keep_features(tmp_path, "d", made(100), {}, limit=130_000)
    left = sorted(path.stem for path in tmp_path.iterdir())
    assert left == ["a", "c", "d"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 130_000


def test_what_is_larger_than_the_limit_is_given_but_not_kept(tmp_path, capsys):
    with pytest.raises(ValueError, match="features are more than the 0 MB that may be kept"):
        keep_features(tmp_path, "a", made(100), {}, limit=1000)
    _, found = whole(extract(tmp_path, "a", None, classifier(), pictures(), BENCH, limit=1000))
    assert len(found) == 230
    assert read_features(tmp_path, "a") is None
    assert "the features are not kept: 0 MB of features" in capsys.readouterr().out


def test_files_that_somebody_began_are_taken_away_when_old(tmp_path):
    for name, old in ((".x.safetensors.1.tmp", True), (".y.safetensors.2.tmp", False)):
        (tmp_path / name).write_bytes(b"half")
        if old:
            os.utime(tmp_path / name, (1e9, 1e9))
    kept.trim(tmp_path, 10)
    assert [path.name for path in tmp_path.iterdir()] == [".y.safetensors.2.tmp"]


def test_keys_and_sets_that_cannot_be(tmp_path):
    with pytest.raises(ValueError, match=r"key: expected letters and digits, got '../x'"):
        read_features(tmp_path, "../x")
    empty = Memory(Batch(torch.zeros(0, 1, 8, 8, dtype=torch.uint8), torch.arange(0)), FACTS)
    with pytest.raises(ValueError, match="the set has no pictures"):
        next(extract(tmp_path, "e", None, classifier(), empty, BENCH))


def test_answers_are_called_as_the_network_learned_them_though_the_pictures_have_other_classes(tmp_path):
    other = Facts(1, 64, ("dog", "elk", "fox"))
    data, model = pictures(20), classifier()
    _, found = whole(extract(tmp_path, "e", None, model, data, BENCH, knows=other))
    assert (found.classes, found.answers) == (FACTS.classes, other.classes)
    assert not found.judged, "ant and dog have the same number, and nobody is right or wrong"
    assert same(found, read_features(tmp_path, "e"))
    _, own = whole(extract(tmp_path, "f", None, model, data, BENCH))
    assert own.judged
    _, unlabelled = whole(extract(tmp_path, "g", None, model, pictures(20, labelled=False), BENCH))
    assert not unlabelled.judged
    assert key_of("toy", {}, model, data, "toy", BENCH) != key_of("toy", {}, model, data, "toy", BENCH, other)


def test_some_of_a_set_are_drawn_at_random_but_always_the_same_in_their_order():
    data = pictures(230)
    some, positions = drawn(data, 50)
    assert len(some) == 50
    assert (positions.diff() > 0).all()
    assert len(set((positions % 3).tolist())) == 3, "labels in turns are all met"
    assert torch.equal(some.batch(torch.arange(50)).images, data.rows.images[positions])
    assert torch.equal(drawn(pictures(230), 50)[1], positions)
    whole, everything = drawn(data, 230)
    assert whole is data
    assert len(everything) == 230


@pytest.mark.parametrize(("name", "width"), [("lite0", 1280), ("squeezenet", 512)])
def test_the_features_of_published_networks_are_what_their_last_layer_reads(name, width):
    model = imagenet(name)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features, logits = embedder(None, model)(images), model(images)
        if name == "lite0":
            again = model.net.classifier(features)
            torch.testing.assert_close(again, logits)
    assert features.shape == (2, width)
