"""Any backbone by name, ours or timm's, behind one shape: images in [0, 1] to a row of features."""

from __future__ import annotations

import difflib
from typing import Any

from torch import Tensor, nn

from engine.assets import asset
from engine.nets.normalise import Normalise
from engine.nets.pretrained import LITE0, LITE0_WEIGHTS
from engine.nets.resnet import SmallResNet


class Backbone(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> features (B, out_features). What the network wants of pixels happens inside."""

    def __init__(self, normalise: nn.Module, net: nn.Module, out_features: int):
        super().__init__()
        self.normalise, self.net, self.out_features = normalise, net, out_features

    def forward(self, images: Tensor) -> Tensor:
        return self.net(self.normalise(images))


class Classifier(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> logits (B, classes): a backbone, dropout on its features, a linear map."""

    def __init__(self, backbone: Backbone, classes: int, dropout: float = 0.0):
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(backbone.out_features, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.dropout(self.backbone(images)))


def backbone(
    name: str,
    channels: int,
    pretrained: bool = False,
    *,
    width: int = 16,
    dropout: float = 0.0,
    drop_path: float = 0.0,
) -> Backbone:
    """ "small" for our own `SmallResNet`, or any of timm's networks by name, without its classifier.

    channels: 1 or 3; pretrained timm weights are adapted to it. width: of the small network; timm's have their own.
    dropout: inside the network, where it has a place for it. drop_path: stochastic depth, likewise.
    """
    if name == "small":
        if pretrained:
            raise ValueError("pretrained: the small network has no published weights; choose a timm network or False")
        net = SmallResNet(channels, width, dropout, drop_path)
        return Backbone(nn.Identity(), net, net.out_features)
    return _timm_backbone(name, channels, pretrained, dropout, drop_path)


def _timm_backbone(name: str, channels: int, pretrained: bool, dropout: float, drop_path: float) -> Backbone:
    import timm  # Takes seconds, and the small network does without.

    if not timm.is_model(name):
        near = difflib.get_close_matches(name, ["small", *timm.list_models()], n=3, cutoff=0.4)
        raise ValueError(f"backbone: no network is called {name!r}; the nearest are {', '.join(near) or 'small'}")
    options: dict[str, Any] = {
        key: value for key, value in (("drop_rate", dropout), ("drop_path_rate", drop_path)) if value
    }
    if pretrained and name == LITE0:
        options["pretrained_cfg_overlay"] = {"file": str(asset(LITE0_WEIGHTS))}
    try:
        net: Any = timm.create_model(name, pretrained=pretrained, num_classes=0, in_chans=channels, **options)
    except TypeError as error:
        raise ValueError(f"backbone: {name} takes no {' or '.join(options)} ({error}); set it to 0") from error
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise
        raise ValueError(
            f"pretrained: the weights of {name} could not be had ({error}); "
            f"connect to the internet once, set pretrained to False, or use {LITE0}, whose weights ship with the lab"
        ) from error
    mean, deviation = net.pretrained_cfg["mean"], net.pretrained_cfg["std"]
    if channels != len(mean):
        mean, deviation = [sum(mean) / len(mean)] * channels, [sum(deviation) / len(deviation)] * channels
    return Backbone(Normalise(mean, deviation), net, getattr(net, "head_hidden_size", net.num_features))
