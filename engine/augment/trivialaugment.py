"""TrivialAugment (Müller, Hutter, ICCV 2021, arXiv:2103.10158): one operation an image, of any magnitude.

No number is left to tune: the operation is drawn from RandAugment's fourteen and the magnitude from the whole of a wide
table, in which turns reach 135 degrees.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from engine.augment.magnitudes import Space, bins
from engine.augment.operations import OPERATIONS
from engine.augment.policy import Decisions, Policy, signs
from engine.ops.choose import host_generator


@dataclass(frozen=True)
class TrivialAugment(Policy):
    """One operation, drawn evenly, at one of 31 magnitudes, drawn evenly: the paper's space "wide"."""

    @property
    def space(self) -> Space:
        return "wide"

    def draw(self, batch: int, generator: torch.Generator) -> Decisions:
        host = host_generator(generator)
        operation = torch.randint(len(OPERATIONS), (1, batch), generator=host)
        magnitude = torch.randint(bins("wide"), (1, batch), generator=host)
        return Decisions(operation, magnitude, signs(1, batch, host), torch.ones(1, batch, dtype=torch.bool))
