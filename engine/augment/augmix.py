"""AugMix (Hendrycks, Mu, Cubuk, Zoph, Gilmer, Lakshminarayanan, ICLR 2020, arXiv:1912.02781).

Each image becomes the mean of itself and of what a few short chains of mild operations make of it, with random weights:
m x + (1 - m) (w_1 c_1(x) + ... + w_k c_k(x)), m ~ Beta(alpha, alpha), w ~ Dirichlet(alpha). The paper's loss, which
asks for the same answer on three such views, is the training's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.augment.magnitudes import Space, bins
from engine.augment.mix import beta
from engine.augment.operations import Operation
from engine.augment.policy import Decisions, Policy, signs
from engine.ops.choose import host_generator
from engine.ops.warp import Interpolation

MILD = [*range(Operation.SHEAR_X, Operation.BRIGHTNESS), *range(Operation.POSTERIZE, Operation.INVERT)]
"""Without the enhancements, which resemble the corruptions that the paper tests with."""
ALL = list(range(Operation.SHEAR_X, Operation.INVERT))
LONGEST = 3
"""Operations in a chain of random depth, at most."""


@dataclass(frozen=True)
class AugMix(Policy):
    """`width` chains of `depth` operations, or of 1 to 3 where depth is -1; magnitudes below `severity` (1..10).

    alpha: of the weights' distributions. all_operations: the four enhancements too, as torchvision has it by default.
    As in torchvision, whatever was drawn for an image is for it alone, and uint8 is rounded down.
    """

    severity: int = 3
    width: int = 3
    depth: int = -1
    alpha: float = 1.0
    all_operations: bool = False
    interpolation: Interpolation = field(default="bilinear", kw_only=True)

    def __post_init__(self) -> None:
        if not 1 <= self.severity <= bins("augmix"):
            raise ValueError(f"severity: expected 1 to {bins('augmix')}, got {self.severity}")
        if self.width < 1:
            raise ValueError(f"width: expected 1 chain or more, got {self.width}")
        if self.depth != -1 and self.depth < 1:
            raise ValueError(f"depth: expected 1 operation or more, or -1 for 1 to {LONGEST}, got {self.depth}")
        if not self.alpha > 0:
            raise ValueError(f"alpha: expected more than 0, got {self.alpha}")

    @property
    def space(self) -> Space:
        return "augmix"

    def draw(self, batch: int, generator: torch.Generator) -> Decisions:
        host, longest = host_generator(generator), LONGEST if self.depth == -1 else self.depth
        steps, choices = self.width * longest, torch.tensor(ALL if self.all_operations else MILD)
        operation = choices[torch.randint(len(choices), (steps, batch), generator=host)]
        magnitude = torch.randint(self.severity, (steps, batch), generator=host)
        sign = signs(steps, batch, host)
        applied = torch.ones(self.width, longest, batch, dtype=torch.bool)
        if self.depth == -1:
            length = torch.randint(1, LONGEST + 1, (self.width, 1, batch), generator=host)
            applied = torch.arange(LONGEST)[:, None] < length
        return Decisions(operation, magnitude, sign, applied.flatten(0, 1), self._share(batch, host))

    def _share(self, batch: int, host: torch.Generator) -> Tensor:
        """(1 + width, batch): of the image itself, then of each chain."""
        own = beta(self.alpha, batch, host)
        chains = torch._sample_dirichlet(torch.full((batch, self.width), float(self.alpha)), generator=host)
        return torch.cat([own[None], (1 - own) * chains.T])
