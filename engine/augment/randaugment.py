"""RandAugment (Cubuk, Zoph, Shlens, Le, NeurIPS 2020, arXiv:1909.13719), one decision for each image of a batch.

Each image goes through n operations, drawn uniformly and with replacement from fourteen, all at one magnitude m; the
arguments of geometric (and, in some scales, enhancing) operations are negated with probability 1/2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.augment.magnitudes import LARGEST, Scale, Space, check_scale
from engine.augment.operations import NAMES, OPERATIONS
from engine.augment.policy import Decisions, Policy, carry_out, signs
from engine.ops.choose import host_generator


@dataclass(frozen=True)
class RandAugment(Policy):
    """n operations of magnitude m (0..30); `scale`: see `engine.augment.magnitudes.magnitudes`.

    p: probability with which each of the n is applied. The paper, torchvision and TensorFlow apply all; timm, half.
    """

    n: int = 2
    m: int = 9
    scale: Scale = "torchvision"
    p: float = 1.0

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError(f"n: expected 0 or more operations, got {self.n}")
        if isinstance(self.m, bool) or not isinstance(self.m, int) or not 0 <= self.m <= LARGEST:
            raise ValueError(f"m: expected a whole number from 0 to {LARGEST}, got {self.m!r}")
        check_scale(self.scale)
        if not 0 <= self.p <= 1:
            raise ValueError(f"p: expected a probability from 0 to 1, got {self.p}")

    @property
    def space(self) -> Space:
        return self.scale

    def draw(self, batch: int, generator: torch.Generator) -> Decisions:
        host = host_generator(generator)
        operation = torch.randint(len(OPERATIONS), (self.n, batch), generator=host)
        decisions = Decisions.at(self.m, operation, signs(self.n, batch, host))
        if self.p == 1:
            return decisions
        return replace(decisions, applied=torch.rand(self.n, batch, generator=host) < self.p)


def apply_operation(images: Tensor, name: str, m: int, sign: int = 1, scale: Space = "torchvision") -> Tensor:
    """All images through one operation at magnitude m, negated if sign is -1: a cell of a contact sheet."""
    if name not in NAMES:
        raise ValueError(f"name: {name!r} is not one of {', '.join(NAMES)}")
    if sign not in (1, -1):
        raise ValueError(f"sign: expected 1 or -1, got {sign}")
    operation = torch.full((1, len(images)), NAMES.index(name))
    return carry_out(Decisions.at(m, operation, torch.full_like(operation, sign)), images, scale)
