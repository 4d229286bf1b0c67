"""Backbones by name: ours, timm's, the embedded weights, and what is said when there is none."""

import huggingface_hub.constants
import pytest
import timm
import torch
import torch.nn.functional as F

from engine.nets.classifier import Classifier, backbone
from engine.nets.pretrained import imagenet


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["small", "resnet10t", "mobilenetv3_small_050"])
def test_features_are_as_wide_as_promised(name, channels):
    net = backbone(name, channels).eval()
    assert net(torch.rand(2, channels, 32, 32)).shape == (2, net.out_features)


def test_timm_networks_get_the_input_they_were_trained_on():
    net = backbone("resnet10t", 3).eval()
    theirs = timm.create_model("resnet10t", num_classes=0).eval()
    theirs.load_state_dict(net.net.state_dict())
    config = theirs.pretrained_cfg
    x = torch.rand(2, 3, 64, 64)
    mean, deviation = (torch.tensor(config[key]).reshape(3, 1, 1) for key in ("mean", "std"))
    torch.testing.assert_close(net(x), theirs((x - mean) / deviation))


def test_embedded_weights_need_no_network_and_fit_grey_images():
    whole = imagenet("lite0")
    colour = backbone("tf_efficientnet_lite0", 3, pretrained=True).eval()
    x = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(F.linear(colour(x), whole.net.classifier.weight, whole.net.classifier.bias), whole(x))
    grey = backbone("tf_efficientnet_lite0", 1, pretrained=True).eval()
    # Three equal channels through the colour filters; timm rounds their sum to the file's half precision.
    summed = colour.net.conv_stem.weight.sum(1, keepdim=True)
    torch.testing.assert_close(grey.net.conv_stem.weight, summed, atol=1e-3, rtol=1e-3)
    assert grey(torch.rand(1, 1, 64, 64)).shape == (1, 1280)


def test_options_reach_the_network():
    assert backbone("small", 1, width=8).out_features == 32
    noisy = backbone("resnet10t", 3, drop_path=0.9, dropout=0.5)
    x = torch.rand(4, 3, 64, 64)
    assert not torch.equal(noisy(x), noisy(x))
    calm = backbone("resnet10t", 3)
    torch.testing.assert_close(calm(x), calm(x))


def test_classifier_is_a_linear_map_of_its_features():
    model = Classifier(backbone("small", 1), 7, dropout=0.5)
    x = torch.rand(4, 1, 28, 28)
    assert not torch.equal(model(x), model(x))
    model.eval()
    torch.testing.assert_close(model(x), model.head(model.backbone(x)))
    assert model(x).shape == (4, 7)


def test_bad_names_and_options_get_a_sentence(monkeypatch):
    with pytest.raises(ValueError, match=r"no network is called 'resnet51'; the nearest are .*resnet50"):
        backbone("resnet51", 3)
    with pytest.raises(ValueError, match="the nearest are small"):
        backbone("smal", 3)
    with pytest.raises(ValueError, match="vgg11 takes no drop_path_rate"):
        backbone("vgg11", 3, drop_path=0.1)
    with pytest.raises(ValueError, match="small network has no published weights"):
        backbone("small", 3, pretrained=True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"weights of resnet10t could not be had .*tf_efficientnet_lite0"):
        backbone("resnet10t", 3, pretrained=True)
