"""Affine maps of the plane as (..., 2, 3) matrices [A | t]: p -> A p + t, with p = (x, y)."""

from __future__ import annotations

import torch
from torch import Tensor


def rotation(angle: Tensor) -> Tensor:
    """(...,) radians -> (..., 2, 2)."""
    cos, sin = angle.cos(), angle.sin()
    return torch.stack((torch.stack((cos, -sin), -1), torch.stack((sin, cos), -1)), -2)


def join(linear: Tensor, offset: Tensor) -> Tensor:
    """A (..., 2, 2) and t (..., 2) -> [A | t]."""
    return torch.cat((linear, offset[..., None]), -1)


def compose(second: Tensor, first: Tensor) -> Tensor:
    """p -> second(first(p)). Sums of two products rather than a matrix product: bit-equal in batches of any size."""
    moved = second[..., :, :1] * first[..., :1, :] + second[..., :, 1:2] * first[..., 1:, :]
    return torch.cat((moved[..., :2], moved[..., 2:] + second[..., 2:]), -1)


def invert(forward: Tensor) -> Tensor:
    """The map that undoes `forward` (its A must be regular)."""
    (a, b, x), (c, d, y) = (row.unbind(-1) for row in forward.unbind(-2))
    adjugate = torch.stack((torch.stack((d, -b), -1), torch.stack((-c, a), -1)), -2)
    inverse = adjugate / (a * d - b * c)[..., None, None]
    return join(inverse, -(inverse[..., 0] * x[..., None] + inverse[..., 1] * y[..., None]))


def about(centre: Tensor, angle: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Turn and scale about `centre` (..., 2), then move by `shift` (..., 2)."""
    linear = rotation(angle) * scale[..., None, None]
    held = linear[..., 0] * centre[..., :1] + linear[..., 1] * centre[..., 1:]
    return join(linear, centre - held + shift)
