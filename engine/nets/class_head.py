"""The head of self-distillation: from features to scores for classes that nobody named."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ClassHead(nn.Module):
    """(B, inputs) -> scores (B, classes): three linear maps with GELU between, a unit vector, and its cosines with one
    direction a class (Caron et al. 2021, sec. 3.2: the weight-normalised last layer with its gain held at 1).

    hidden: width of the first two maps; bottleneck: numbers in the unit vector. norm: batch norm before each GELU,
    which the paper has for convolutional networks only.
    """

    def __init__(self, inputs: int, hidden: int, bottleneck: int, classes: int, norm: bool = False):
        super().__init__()
        if classes < 2:
            raise ValueError(f"classes: expected 2 or more, got {classes}")
        self.mlp = nn.Sequential()
        for width in (inputs, hidden):
            normed = nn.BatchNorm1d(hidden) if norm else nn.Identity()
            self.mlp.extend((nn.Linear(width, hidden), normed, nn.GELU()))
        self.mlp.append(nn.Linear(hidden, bottleneck))
        self.directions = nn.Parameter(torch.randn(classes, bottleneck))
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        unit = F.normalize(self.mlp(features), dim=1)
        return unit @ F.normalize(self.directions, dim=1).T
