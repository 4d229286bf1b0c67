"""The embedded networks name what is on the photographs; their layers are the network's own, frozen."""

import os
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models import squeezenet1_1, vgg19
from torchvision.transforms.functional import normalize

from engine.assets import asset
from engine.nets.pretrained import SQUEEZENET_WEIGHTS, features, imagenet

PHOTOS = {
    "coffee": {"espresso"},
    "squirrel_cls": {"fox squirrel"},
    "chelsea": {"tabby", "tiger cat", "Egyptian cat"},
}


@cache
def photo(name: str) -> torch.Tensor:
    """(1, 3, 224, 224) in [0, 1]: the middle square, reduced."""
    image = Image.open(asset(f"photos/{name}.jpg")).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("name", ["squeezenet", "lite0"])
def test_names_what_is_on_the_photographs(name):
    net = imagenet(name)
    with torch.inference_mode():
        for title, right in PHOTOS.items():
            probabilities = net(photo(title)).softmax(1)[0]
            best = net.classes[int(probabilities.argmax())]
            assert best in right, f"{title}: {best} at {probabilities.max():.2f}"


@pytest.mark.parametrize("name", ["squeezenet", "lite0"])
def test_the_order_of_colours_is_the_one_it_was_trained_on(name):
    net = imagenet(name)
    with torch.inference_mode():
        right, turned = (
            sum(net(image).softmax(1)[0, net.classes.index("espresso")] for image in images)
            for images in ([photo("coffee")], [photo("coffee").flip(1)])
        )
    assert right > turned + 0.1


def test_squeezenet_is_torchvisions_on_caffe_pixels():
    theirs = squeezenet1_1().eval()
    theirs.load_state_dict(torch.load(asset(SQUEEZENET_WEIGHTS), weights_only=True))
    caffe = photo("coffee").flip(1) * 255 - torch.tensor([103.939, 116.779, 123.68]).reshape(3, 1, 1)
    with torch.inference_mode():
        torch.testing.assert_close(imagenet("squeezenet")(photo("coffee")), theirs(caffe), atol=1e-2, rtol=1e-4)


LAYERS = {
    "squeezenet": ("relu1", "fire2", "fire3", "fire4", "fire5", "fire6", "fire7", "fire8", "fire9"),
    "lite0": ("stem", "stage1", "stage2", "stage3", "stage4", "stage5", "stage6", "stage7", "head"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_layers_lead_to_the_networks_own_answer(name):
    extractor, whole = features(name), imagenet(name)
    assert extractor.layers == LAYERS[name]
    with torch.inference_mode():
        found = extractor(photo("coffee"))
        assert tuple(found) == extractor.layers
        head = (
            whole.net.classifier if name == "squeezenet" else nn.Sequential(whole.net.global_pool, whole.net.classifier)
        )
        torch.testing.assert_close(head(found[extractor.layers[-1]]).flatten(1), whole(photo("coffee")))
        # A layer is not changed by those computed after it (activations work in place).
        for layer in extractor.layers[:3]:
            alone = extractor(photo("coffee"), [layer])
            assert list(alone) == [layer]
            assert torch.equal(alone[layer], found[layer])


def test_nothing_is_computed_beyond_the_last_layer_wanted():
    extractor = features("squeezenet")
    extractor.stages["fire4"].register_forward_hook(lambda *_: pytest.fail("fire4 was computed"))
    assert list(extractor(photo("coffee"), ["fire3", "relu1"])) == ["relu1", "fire3"]


@pytest.mark.parametrize("name", LAYERS)
def test_frozen_but_for_the_image(name):
    extractor = features(name).train()
    before = {key: value.clone() for key, value in extractor.state_dict().items()}
    image = photo("coffee")[:, :, :64, :64].clone().requires_grad_()
    extractor(image)[extractor.layers[-1]].square().sum().backward()
    assert image.grad.abs().sum() > 0
    assert all(p.grad is None for p in extractor.parameters())
    assert all(torch.equal(value, before[key]) for key, value in extractor.state_dict().items())


def test_average_pooling_takes_the_place_of_max_pooling():
    sharp, smooth = features("squeezenet"), features("squeezenet", "avg")
    image = photo("coffee")[:, :, :102, :102]  # a size at which the pooling windows stick out over the border
    one, two = sharp(image), smooth(image)
    assert torch.equal(one["relu1"], two["relu1"])
    assert not any(isinstance(m, nn.MaxPool2d) for m in smooth.modules())
    assert one["fire2"].shape == two["fire2"].shape
    pooled = nn.functional.avg_pool2d(one["relu1"], 3, 2, ceil_mode=True)
    torch.testing.assert_close(sharp.stages["fire2"][1](pooled), two["fire2"])


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory):
    """Random weights in the form of torchvision's file, without the large classifier."""
    torch.manual_seed(0)
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in vgg19().state_dict().items()}
    state = {key: torch.randn(shape) * 0.05 for key, shape in shapes.items() if key.startswith("features.")}
    path = tmp_path_factory.mktemp("vgg") / "vgg19.pth"
    torch.save(state | {"classifier.6.bias": torch.zeros(1000)}, path)
    return path, state


def test_vgg_layers_are_torchvisions(vgg_file):
    path, state = vgg_file
    extractor = features("vgg19", weights=path)
    assert len(extractor.layers) == 16
    x = photo("coffee")[:, :, :48, :48]
    y = normalize(x, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])

    def convolved(y: torch.Tensor, index: int) -> torch.Tensor:
        weight, bias = state[f"features.{index}.weight"], state[f"features.{index}.bias"]
        return nn.functional.conv2d(y, weight, bias, padding=1).relu()

    y = convolved(convolved(y, 0), 2)
    expected = convolved(nn.functional.max_pool2d(y, 2), 5)
    found = extractor(x, ["relu1_2", "relu2_1"])
    torch.testing.assert_close(found["relu1_2"], y)
    torch.testing.assert_close(found["relu2_1"], expected)


def test_vgg_without_weights_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(ValueError, match=r"download https://download.*vgg19.*or use squeezenet"):
        features("vgg19")


def test_vgg_from_a_wrong_or_hostile_file_is_refused(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "executed"),))

    wrong = {
        "text.pth": lambda path: path.write_text("not tensors"),
        "empty.pth": lambda path: path.write_bytes(b""),
        "other.pth": lambda path: torch.save({"features.0.weight": torch.zeros(2)}, path),
        "list.pth": lambda path: torch.save([torch.zeros(2)], path),
        "hostile.pth": lambda path: torch.save(Hostile(), path),
    }
    for name, write in wrong.items():
        write(tmp_path / name)
        with pytest.raises(ValueError, match=f"{name} does not hold torchvision's VGG-19"):
            features("vgg19", weights=tmp_path / name)
    assert not (tmp_path / "executed").exists()


def test_bad_input():
    with pytest.raises(ValueError, match="no network called 'alexnet'; choose among squeezenet, lite0, vgg19"):
        features("alexnet")
    with pytest.raises(ValueError, match="pooling: expected max or avg, got 'min'"):
        features("squeezenet", "min")
    with pytest.raises(ValueError, match="lite0 has no pooling layers"):
        features("lite0", "avg")
    with pytest.raises(ValueError, match="squeezenet ships with the lab and takes no file"):
        features("squeezenet", weights=asset(SQUEEZENET_WEIGHTS))
    extractor = features("squeezenet")
    with pytest.raises(ValueError, match="layers: conv1 unknown; choose among relu1, fire2"):
        extractor(photo("coffee"), ["conv1"])
    with pytest.raises(ValueError, match="32 pixels a side or more, got 20 x 40"):
        extractor(torch.rand(1, 3, 20, 40))
    with pytest.raises(ValueError, match=r"images: expected \(B, 3, H, W\), got shape \(1, 1, 64, 64\)"):
        extractor(torch.rand(1, 1, 64, 64))
