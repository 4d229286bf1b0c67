"""What a picture must match to be the content of one and in the style of another (Gatys, Ecker, Bethge, CVPR 2016)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from engine.nets.pretrained import FeatureNet, Pooling, features
from engine.ops.colour import recolour, total_variation
from engine.ops.gram import gram
from engine.params import Params, knob

Depth = Literal["1", "2", "3", "4", "5"]
DEPTHS: tuple[Depth, ...] = ("1", "2", "3", "4", "5")
LAYERS: dict[FeatureNet, tuple[str, ...]] = {
    "squeezenet": ("relu1", "fire3", "fire5", "fire7", "fire9"),
    "lite0": ("stem", "stage2", "stage3", "stage5", "stage7"),
    "vgg19": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
}
"""The layer of each depth; those of VGG-19 are the paper's for style (for content it takes relu4_2)."""


BEYOND = 100.0
"""Weight of the squared distance of pixels from [0, 1]."""
Match = Literal["both", "content", "style"]
Start = Literal["content", "style", "noise"]


class Painting(Params):
    """What is matched, and how: shared by the method and its lenses."""

    style_weight: float = knob(8.0, "style against content", 1e-2, 1e4, log=True, paper=1000.0)
    style_depths: tuple[Depth, ...] = knob(DEPTHS, "depths whose Gram matrices must match")
    content_depth: Depth = knob("4", "depth whose values must match")
    optimizer: Literal["adam", "lbfgs"] = knob("adam", "how pixels are moved; lbfgs: dearer steps, each along a curve",
                                               paper="lbfgs", fold=True)  # fmt: skip
    lr: float = knob(0.02, "learning rate of Adam; L-BFGS looks for its own along each step", 1e-4, 2.0, log=True,
                     fold=True)  # fmt: skip
    smooth: float = knob(10.0, "weight of the total variation", 0.0, 100.0, paper=0.0, fold=True)
    weight_1: float = knob(1.0, "weight of depth 1 among those whose Gram matrices must match", 0.0, 10.0, fold=True)
    weight_2: float = knob(1.0, "weight of depth 2", 0.0, 10.0, fold=True)
    weight_3: float = knob(1.0, "weight of depth 3", 0.0, 10.0, fold=True)
    weight_4: float = knob(1.0, "weight of depth 4", 0.0, 10.0, fold=True)
    weight_5: float = knob(1.0, "weight of depth 5", 0.0, 10.0, fold=True)
    pooling: Pooling = knob("max", "how the network pools", paper="avg", fold=True)

    @property
    def weights(self) -> dict[Depth, float]:
        """What each depth counts in the style: the weights of the chosen ones over their sum. None where all are 0."""
        chosen = {depth: float(getattr(self, f"weight_{depth}")) for depth in self.style_depths}
        whole = sum(chosen.values())
        return {depth: weight / whole for depth, weight in chosen.items() if weight}


class Target:
    """What a picture must match: the values F of `content` and the Gram matrices G of `style`, at five depths."""

    def __init__(self, backbone: FeatureNet, pooling: Pooling, content: Tensor, style: Tensor):
        self.network = features(backbone, pooling).to(content.device)
        self.layers = dict(zip(DEPTHS, LAYERS[backbone], strict=True))
        with torch.no_grad():
            self.content = self.at_depths(content)
            self.grams = {depth: gram(values) for depth, values in self.at_depths(style).items()}

    def at_depths(self, images: Tensor) -> dict[Depth, Tensor]:
        """F of each depth: (B, N, H, W)."""
        values = self.network(images, self.layers.values())
        return {depth: values[layer] for depth, layer in self.layers.items()}

    def content_error(self, values: dict[Depth, Tensor], depth: Depth) -> Tensor:
        """||F - P||^2 / ||P - mean P||^2: 0 for the content picture itself, about 2 for an unrelated one."""
        wanted = self.content[depth]
        return (values[depth] - wanted).square().mean() / wanted.var()

    def style_errors(self, values: dict[Depth, Tensor]) -> dict[Depth, Tensor]:
        """||G - A||^2 / ||A||^2 of each depth: 0 for the style picture itself."""
        return {
            depth: (gram(values[depth]) - wanted).square().sum() / wanted.square().sum()
            for depth, wanted in self.grams.items()
        }


def objective(pixels: Tensor, target: Target, p: Painting, match: Match) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss, and its parts by name."""
    values = target.at_depths(pixels)
    content, styles = target.content_error(values, p.content_depth), target.style_errors(values)
    style = sum((weight * styles[depth] for depth, weight in p.weights.items()), content.new_zeros(()))
    loss = p.smooth * total_variation(pixels) + BEYOND * (pixels - pixels.clamp(0, 1)).square().mean()
    if match != "style":
        loss = loss + content
    if match != "content":
        loss = loss + (p.style_weight if match == "both" else 1.0) * style
    parts = {f"style error {depth}": error.detach() for depth, error in styles.items()}
    overall = torch.stack(list(styles.values())).mean().detach()
    return loss, {"loss": loss.detach(), "content error": content.detach(), "style error": overall, **parts}


def primed(start: Start, content: Tensor, style: Tensor, generator: torch.Generator) -> Tensor:
    """The canvas at first: the content in the style's colours, the style, or noise."""
    noise = torch.rand(content.shape, generator=generator, device=content.device)
    return {"content": recolour(content, style), "style": style, "noise": noise}[start]


def mover(pixels: Tensor, p: Painting) -> torch.optim.Optimizer:
    """What moves the pixels: Adam, or L-BFGS with a line search that begins with the whole quasi-Newton step."""
    if p.optimizer == "adam":
        return torch.optim.Adam([pixels], p.lr)
    return torch.optim.LBFGS([pixels], 1.0, max_iter=1, history_size=10, line_search_fn="strong_wolfe")


def step_of(
    optimizer: torch.optim.Optimizer, loss_of: Callable[[], tuple[Tensor, dict[str, Tensor]]]
) -> dict[str, Tensor]:
    """One step of any optimiser, L-BFGS among them; the parts of the loss before it."""
    told: dict[str, Tensor] = {}

    def closure() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss, parts = loss_of()
        loss.backward()
        told.update(told or parts)
        return loss.item()

    optimizer.step(closure)
    return told
