"""Networks that already know ImageNet: two that ship with the lab, and VGG-19 for whoever has its weights.

All take RGB images in [0, 1]; the input that each was trained on is made inside.
"""

from __future__ import annotations

import difflib
import pickle
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Literal, Self, get_args

import torch
from torch import Tensor, nn

from engine.assets import asset
from engine.nets.normalise import Normalise

ImageNetNet = Literal["squeezenet", "lite0"]
FeatureNet = Literal["squeezenet", "lite0", "vgg19"]
Pooling = Literal["max", "avg"]

SQUEEZENET_WEIGHTS = "weights/squeezenet1_1_fp16.pt"
LITE0 = "tf_efficientnet_lite0"
LITE0_WEIGHTS = "weights/effnet_lite0_fp16.pt"
VGG19_FILE = "vgg19-dcbb9e9d.pth"
LOOKS = 128
"""Pixels a side at which the lab asks a network that knows ImageNet: fewer than in its training, to be quick."""
SMALLEST = 32
"""Pixels a side below which the deepest feature maps would be empty."""


class Frozen(nn.Module):
    """A network that only answers: no gradient to its weights, and `train()` leaves its statistics alone."""

    def _freeze(self) -> None:
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> Self:
        return super().train(False)


class ImageNetClassifier(Frozen):
    """Images (B, 3, H, W) in [0, 1], best near 224 pixels, -> logits (B, outputs).

    `classes` names the 1000 of ImageNet; others have numbers.
    """

    def __init__(self, normalise: Normalise, net: nn.Module, outputs: int = 1000):
        super().__init__()
        from torchvision.models._meta import _IMAGENET_CATEGORIES

        known = outputs == len(_IMAGENET_CATEGORIES)
        self.classes: tuple[str, ...] = tuple(_IMAGENET_CATEGORIES if known else map(str, range(outputs)))
        self.normalise, self.net = normalise, net
        self._freeze()

    def forward(self, images: Tensor) -> Tensor:
        return self.net(self.normalise(images))


class FeatureExtractor(Frozen):
    """Images (B, 3, H, W) in [0, 1] -> the outputs of named layers, {name: (B, N, h, w)}.

    `layers` are the names, first to last. Gradients reach the image, never the weights.
    """

    def __init__(self, normalise: Normalise, stages: dict[str, nn.Module]):
        super().__init__()
        self.normalise = normalise
        self.stages = nn.ModuleDict(stages)
        self.layers: tuple[str, ...] = tuple(stages)
        self._freeze()

    def forward(self, images: Tensor, layers: Collection[str] | None = None) -> dict[str, Tensor]:
        """layers: those wanted, all by default; nothing beyond the last of them is computed."""
        wanted = set(self.layers if layers is None else layers)
        if unknown := sorted(wanted - set(self.layers)):
            raise ValueError(f"layers: {', '.join(unknown)} unknown; choose among {', '.join(self.layers)}")
        height, width = images.shape[-2:]
        if min(height, width) < SMALLEST:
            raise ValueError(f"images: expected {SMALLEST} pixels a side or more, got {height} x {width}")
        found: dict[str, Tensor] = {}
        x = self.normalise(images)
        for name, stage in self.stages.items():
            if len(found) == len(wanted):
                break
            x = stage(x)
            if name in wanted:
                found[name] = x
        return found


def imagenet(name: ImageNetNet) -> ImageNetClassifier:
    """A classifier of the 1000 ImageNet classes with the weights that ship with the lab."""
    normalise, net = _embedded(name)
    return ImageNetClassifier(normalise, net)


def features(name: FeatureNet, pooling: Pooling = "max", weights: Path | None = None) -> FeatureExtractor:
    """Named layers of a trained network, for style transfer, inversion and perceptual losses.

    squeezenet: relu1, fire2 .. fire9, named as in its paper (Iandola et al. 2016). lite0: stem, stage1 .. stage7, head.
    vgg19: relu1_1 .. relu5_4, the layers that Gatys et al. 2016 call conv1_1 .. conv5_4.
    pooling: "avg" puts average pooling in place of max pooling; lite0 has none to replace.
    weights: torchvision's vgg19 file; without it, torch's own download folder is looked at.
    """
    if pooling not in get_args(Pooling):
        raise ValueError(f"pooling: expected {' or '.join(get_args(Pooling))}, got {pooling!r}")
    if name == "vgg19":
        return _vgg19(pooling, weights)
    if weights is not None:
        raise ValueError(f"weights: {name} ships with the lab and takes no file; leave it out or choose vgg19")
    normalise, net = _embedded(name)
    if name == "squeezenet":
        names = ["relu1", *(f"fire{i}" for i in range(2, 10))]
        return FeatureExtractor(normalise, _stages(net.features, names, pooling))
    if pooling == "avg":
        raise ValueError("pooling: lite0 has no pooling layers to replace; use 'max', or another network")
    stem = {"stem": nn.Sequential(net.conv_stem, net.bn1)}
    stages = {f"stage{i}": stage for i, stage in enumerate(net.blocks, start=1)}
    return FeatureExtractor(normalise, stem | stages | {"head": nn.Sequential(net.conv_head, net.bn2)})


def timm_classifier(name: str) -> ImageNetClassifier:
    """Any of timm's networks with its published weights, if they are on this machine: nothing is downloaded here.

    ValueError when there is no such network, or its weights are not here.
    """
    import timm

    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(pretrained=True), n=3, cutoff=0.4)
        raise ValueError(f"timm has no network called {name!r}; the nearest are {', '.join(near) or LITE0}")
    file = asset(LITE0_WEIGHTS) if name == LITE0 else _cached(timm.get_pretrained_cfg(name))
    if file is None:
        raise ValueError(
            f"the weights of {name} are not on this machine; get them once, where there is internet, with "
            f"""python -c "import timm; timm.create_model('{name}', pretrained=True)", or choose imagenet:lite0 or """
            "imagenet:squeezenet, which ship with the lab"
        )
    net: Any = timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"file": str(file)})
    mean, deviation = net.pretrained_cfg["mean"], net.pretrained_cfg["std"]
    return ImageNetClassifier(Normalise(mean, deviation), net, net.num_classes)


def _cached(published: Any) -> Path | None:
    """The weights that timm has downloaded before, by its description of them; None when there are none."""
    from huggingface_hub import try_to_load_from_cache

    for name in ("model.safetensors", "pytorch_model.bin") if published and published.hf_hub_id else ():
        if isinstance(found := try_to_load_from_cache(published.hf_hub_id, name), str):
            return Path(found)
    return None


def _embedded(name: str) -> tuple[Normalise, Any]:
    """A shipped network with its weights, and what it wants done to pixels."""
    if name == "squeezenet":
        from torchvision.models import squeezenet1_1

        net = squeezenet1_1()
        net.load_state_dict(torch.load(asset(SQUEEZENET_WEIGHTS), map_location="cpu", weights_only=True))
        # Trained in Caffe: BGR, 0 to 255, only the mean taken off.
        return Normalise([mean / 255 for mean in (103.939, 116.779, 123.68)], [1 / 255] * 3, bgr=True), net
    if name == "lite0":
        import timm

        net = timm.create_model(LITE0)
        net.load_state_dict(torch.load(asset(LITE0_WEIGHTS), map_location="cpu", weights_only=True))
        return Normalise([0.5] * 3, [0.5] * 3), net
    raise ValueError(f"name: no network called {name!r}; choose among {', '.join(get_args(FeatureNet))}")


def _vgg19(pooling: Pooling, weights: Path | None) -> FeatureExtractor:
    from torchvision.models.vgg import cfgs, make_layers

    path = weights or Path(torch.hub.get_dir()) / "checkpoints" / VGG19_FILE
    if not path.is_file():
        raise ValueError(
            f"vgg19: {path} is not there; download https://download.pytorch.org/models/{VGG19_FILE} to that place, "
            "or give weights=PATH, or use squeezenet, which ships with the lab"
        )
    layers = make_layers(cfgs["E"])
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        layers.load_state_dict(
            {name.removeprefix("features."): value for name, value in state.items() if name.startswith("features.")}
        )
    except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError) as error:
        raise ValueError(f"weights: {path} does not hold torchvision's VGG-19: {error}") from error
    names = [f"relu{block}_{i}" for block, depth in enumerate((2, 2, 4, 4, 4), start=1) for i in range(1, depth + 1)]
    normalise = Normalise((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    return FeatureExtractor(normalise, _stages(layers, names, pooling))


def _stages(layers: Iterable[nn.Module], names: list[str], pooling: Pooling) -> dict[str, nn.Module]:
    """A chain of layers cut after every ReLU and fire module, the pieces named in order."""
    from torchvision.models.squeezenet import Fire

    stages: dict[str, nn.Module] = {}
    piece: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, nn.MaxPool2d) and pooling == "avg":
            layer = nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)
        piece.append(layer)
        if isinstance(layer, nn.ReLU | Fire):
            stages[names[len(stages)]] = nn.Sequential(*piece)
            piece = []
    return stages
