"""Eight analytic silhouettes, textured by photographs."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.data.scenes.members import RADIUS, Members

CLASSES = ("disc", "square", "triangle", "star", "ring", "plus", "crescent", "bar")


def inside(texels: int) -> Tensor:
    """(8, texels, texels) bool at texel centres of [-1, 1]^2, u to the right, v down."""
    at = (torch.arange(texels, dtype=torch.float64) + 0.5) * 2 / texels - 1
    v, u = torch.meshgrid(at, at, indexing="ij")
    r, theta = torch.hypot(u, v), torch.atan2(v, u)
    sector = torch.remainder(theta + math.pi / 2, 2 * math.pi / 3) - math.pi / 3
    return torch.stack((
        r <= 0.9 * RADIUS,
        torch.maximum(u.abs(), v.abs()) <= 0.72,
        r * sector.cos() <= RADIUS / 2,
        r <= RADIUS * (0.62 + 0.38 * torch.cos(5 * (theta + math.pi / 2))),
        (r >= 0.5) & (r <= RADIUS),
        ((u.abs() <= 0.28) & (v.abs() <= 0.9)) | ((v.abs() <= 0.28) & (u.abs() <= 0.9)),
        (r <= RADIUS) & (torch.hypot(u - 0.42, v) >= 0.72),
        (v.abs() <= 0.3) & (u.abs() <= RADIUS),
    ))  # fmt: skip


def members(texels: int, test: bool) -> Members:
    """The eight shapes, 4 x 4 samples per texel; the test split has the same."""
    alpha = F.avg_pool2d(inside(4 * texels).float(), 4)
    return Members(CLASSES, (1,) * len(CLASSES), alpha, shade=0.5)
