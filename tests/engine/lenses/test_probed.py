"""The linear probe against scikit-learn, and the layers that it reads against the networks' own."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tiny_networks import bench, model, toy

from engine.lenses.probed import LINEAR_PROBE, TOKEN_PROBE, UNTRAINED, chosen, layers, sets
from engine.nets.classifier import backbone


def looked(lens, net, **knobs):
    return list(lens.answers(net, lens.params.make({"labels": 5, "most": 20} | knobs), None, bench()))


@pytest.mark.parametrize("strength", [0.1, 3.0])
def test_each_share_is_scikit_learns_on_the_same_pictures(strength):
    net, here = model(width=16, depth=2), bench()
    last = looked(TOKEN_PROBE, net, strength=strength)[-1]
    train, test = here.data("toy", "train", 28), here.data("toy", "test", 28)
    known = train.batch(chosen(train, 5, 0)).to("cpu")
    asked = test.batch(torch.arange(150)).to("cpu")
    with torch.no_grad():
        ways = {
            "features": net.features,
            "class token": lambda images: net.encode(net.embed(net.normalise(images)))[:, 0],
            "pixels": lambda images: images.flatten(1),
        }
        for name, way in ways.items():
            scaler = StandardScaler().fit(way(known.images).double().numpy())
            reader = LogisticRegression(C=strength, max_iter=5000, tol=1e-8)
            reader.fit(scaler.transform(way(known.images).numpy()), known.labels.numpy())
            right = reader.score(scaler.transform(way(asked.images).numpy()), asked.labels.numpy())
            got = dict(zip(last["what is read"], last["share right"].tolist(), strict=True))[name]
            assert got == pytest.approx(right, abs=1.01 / 150), name  # one picture may lie on a border
    assert UNTRAINED in last["what is read"]


def test_the_curve_grows_point_by_point_and_goes_through_what_is_chosen():
    reports = looked(TOKEN_PROBE, model(), labels=5)
    assert [len(report["features"]) for report in reports] == [1, 2, 3, 4, 5]
    last = reports[-1]
    assert last["pixels"][:, 0].tolist() == [1, 2, 5, 10, 20]
    at = dict(zip(last["what is read"], last["share right"].tolist(), strict=True))
    assert all(last[name][2, 1].item() == pytest.approx(share) for name, share in at.items())
    assert last["right by layer"][-1].item() == pytest.approx(at["features"])
    assert last["layer"] == ["patches", "block 1", "normalised"]


def test_a_labelled_set_holds_all_smaller_ones_of_its_seed():
    data = toy(60, 0)
    few, many = (set(chosen(data, count, 3).tolist()) for count in (2, 7))
    assert few < many
    assert torch.bincount(data.rows.labels[list(many)]).tolist() == [7, 7, 7]
    assert len(chosen(data, 1000, 3)) == 60


@torch.no_grad()
def test_the_last_layer_of_each_way_is_what_the_network_itself_gives():
    images = toy(4, 2).batch(torch.arange(4)).to("cpu").images
    net = model(depth=2)
    assert torch.allclose(layers(net, images)["features"]["normalised"], net.features(images), atol=1e-6)
    for id in ("representation.simclr", "representation.moco", "representation.swav"):
        net = model(id)
        found = layers(net, images)
        assert torch.allclose(found["features"]["block 3"], net.features(images), atol=1e-6)
        assert torch.allclose(found["after the head"]["head"], net.project(images), atol=1e-6)
        assert list(found["features"]) == ["stem", "block 1", "block 2", "block 3"]
    strange = torch.nn.Module()
    strange.body = backbone("resnet10t", 1).eval()
    strange.features = strange.body.forward
    assert list(layers(strange, images)) == ["features", "pixels"]
    assert list(layers(strange, images)["features"]) == ["features"]


@pytest.mark.parametrize(
    ("id", "knobs"),
    [("representation.simclr", {}), ("representation.moco", {}), ("representation.swav", {})]
    + [(id, {"size": 28, "patch": 4}) for id in ("representation.dino", "representation.moco_v3")],
)
def test_it_looks_through_networks_with_a_head(id, knobs):
    net = model(id, **knobs)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    last = looked(LINEAR_PROBE, net, by="after the head")[-1]
    assert last["what is read"] == ["features", "after the head", "pixels", UNTRAINED]
    assert last["layer"] == ["head"]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_what_cannot_be_read_is_named():
    with pytest.raises(ValueError, match="training and test pictures of other share no classes"):
        sets(model(), "other", bench())
    with pytest.raises(ValueError, match="colour has 3 channels, the network takes 1"):
        sets(model(), "colour", bench())
