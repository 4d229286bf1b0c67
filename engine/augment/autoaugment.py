"""AutoAugment (Cubuk, Zoph, Mane, Vasudevan, Le, CVPR 2019, arXiv:1805.09501): what its search found, three times.

A policy is 25 sub-policies. Each image goes through one of them, drawn evenly: two operations, each with a probability
and a magnitude of its own (0..9, in torchvision's reading, where posterize grows with it).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

import torch
from torch import Tensor

from engine.augment.magnitudes import Space
from engine.augment.operations import NAMES
from engine.augment.policy import Decisions, Policy, signs
from engine.ops.choose import host_generator

Searched = Literal["imagenet", "cifar10", "svhn"]

SUBPOLICIES: dict[Searched, tuple[str, ...]] = {
    "imagenet": (
        "posterize 0.4 8, rotate 0.6 9",
        "solarize 0.6 5, autocontrast 0.6",
        "equalize 0.8, equalize 0.6",
        "posterize 0.6 7, posterize 0.6 6",
        "equalize 0.4, solarize 0.2 4",
        "equalize 0.4, rotate 0.8 8",
        "solarize 0.6 3, equalize 0.6",
        "posterize 0.8 5, equalize 1.0",
        "rotate 0.2 3, solarize 0.6 8",
        "equalize 0.6, posterize 0.4 6",
        "rotate 0.8 8, color 0.4 0",
        "rotate 0.4 9, equalize 0.6",
        "equalize 0.0, equalize 0.8",
        "invert 0.6, equalize 1.0",
        "color 0.6 4, contrast 1.0 8",
        "rotate 0.8 8, color 1.0 2",
        "color 0.8 8, solarize 0.8 7",
        "sharpness 0.4 7, invert 0.6",
        "shear_x 0.6 5, equalize 1.0",
        "color 0.4 0, equalize 0.6",
        "equalize 0.4, solarize 0.2 4",
        "solarize 0.6 5, autocontrast 0.6",
        "invert 0.6, equalize 1.0",
        "color 0.6 4, contrast 1.0 8",
        "equalize 0.8, equalize 0.6",
    ),
    "cifar10": (
        "invert 0.1, contrast 0.2 6",
        "rotate 0.7 2, translate_x 0.3 9",
        "sharpness 0.8 1, sharpness 0.9 3",
        "shear_y 0.5 8, translate_y 0.7 9",
        "autocontrast 0.5, equalize 0.9",
        "shear_y 0.2 7, posterize 0.3 7",
        "color 0.4 3, brightness 0.6 7",
        "sharpness 0.3 9, brightness 0.7 9",
        "equalize 0.6, equalize 0.5",
        "contrast 0.6 7, sharpness 0.6 5",
        "color 0.7 7, translate_x 0.5 8",
        "equalize 0.3, autocontrast 0.4",
        "translate_y 0.4 3, sharpness 0.2 6",
        "brightness 0.9 6, color 0.2 8",
        "solarize 0.5 2, invert 0.0",
        "equalize 0.2, autocontrast 0.6",
        "equalize 0.2, equalize 0.6",
        "color 0.9 9, equalize 0.6",
        "autocontrast 0.8, solarize 0.2 8",
        "brightness 0.1 3, color 0.7 0",
        "solarize 0.4 5, autocontrast 0.9",
        "translate_y 0.9 9, translate_y 0.7 9",
        "autocontrast 0.9, solarize 0.8 3",
        "equalize 0.8, invert 0.1",
        "translate_y 0.7 9, autocontrast 0.9",
    ),
    "svhn": (
        "shear_x 0.9 4, invert 0.2",
        "shear_y 0.9 8, invert 0.7",
        "equalize 0.6, solarize 0.6 6",
        "invert 0.9, equalize 0.6",
        "equalize 0.6, rotate 0.9 3",
        "shear_x 0.9 4, autocontrast 0.8",
        "shear_y 0.9 8, invert 0.4",
        "shear_y 0.9 5, solarize 0.2 6",
        "invert 0.9, autocontrast 0.8",
        "equalize 0.6, rotate 0.9 3",
        "shear_x 0.9 4, solarize 0.3 3",
        "shear_y 0.8 8, invert 0.7",
        "equalize 0.9, translate_y 0.6 6",
        "invert 0.9, equalize 0.6",
        "contrast 0.3 3, rotate 0.8 4",
        "invert 0.8, translate_y 0.0 2",
        "shear_y 0.7 6, solarize 0.4 8",
        "invert 0.6, rotate 0.8 4",
        "shear_y 0.3 7, translate_x 0.9 3",
        "shear_x 0.1 6, invert 0.6",
        "solarize 0.7 2, translate_y 0.6 7",
        "shear_y 0.8 4, invert 0.8",
        "shear_x 0.7 9, translate_y 0.8 3",
        "shear_y 0.8 5, autocontrast 0.7",
        "shear_x 0.7 2, invert 0.1",
    ),
}
"""The two steps of each: operation, probability and, where it takes one, magnitude."""


@cache
def subpolicies(policy: Searched) -> tuple[Tensor, Tensor, Tensor]:
    """operation, magnitude (int64) and probability, each (2, 25)."""
    rows = [[step.split() for step in each.split(", ")] for each in SUBPOLICIES[policy]]
    operation = torch.tensor([[NAMES.index(name) for name, *_ in row] for row in rows])
    magnitude = torch.tensor([[int(rest[0]) if rest else 0 for _, _, *rest in row] for row in rows])
    probability = torch.tensor([[float(chance) for _, chance, *_ in row] for row in rows])
    return operation.T, magnitude.T, probability.T


@dataclass(frozen=True)
class AutoAugment(Policy):
    """The sub-policies that were found on ImageNet, on CIFAR-10 or on street-view house numbers."""

    policy: Searched = "imagenet"

    def __post_init__(self) -> None:
        if self.policy not in get_args(Searched):
            raise ValueError(f"policy: {self.policy!r} is not one of {', '.join(get_args(Searched))}")

    @property
    def space(self) -> Space:
        return "autoaugment"

    def draw(self, batch: int, generator: torch.Generator) -> Decisions:
        host = host_generator(generator)
        operation, magnitude, probability = subpolicies(self.policy)
        drawn = torch.randint(operation.shape[1], (batch,), generator=host)
        applied = torch.rand(2, batch, generator=host) < probability[:, drawn]
        return Decisions(operation[:, drawn], magnitude[:, drawn], signs(2, batch, host), applied)
