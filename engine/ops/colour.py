"""The colours of a picture: those of another in their place, and how rough it is."""

from __future__ import annotations

import torch
from torch import Tensor


def recolour(content: Tensor, style: Tensor) -> Tensor:
    """`content` with the mean and covariance of the colours of `style`: x -> L_s L_c^{-1} (x - m_c) + m_s."""
    flat, wanted = content[0].flatten(1), style[0].flatten(1)
    eye = 1e-5 * torch.eye(3, device=content.device)
    root, aim = (torch.linalg.cholesky(torch.cov(colours) + eye) for colours in (flat, wanted))
    moved = aim @ torch.linalg.solve(root, flat - flat.mean(1, keepdim=True)) + wanted.mean(1, keepdim=True)
    return moved.reshape(content.shape).clamp(0, 1)


def total_variation(images: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels."""
    down, right = images.diff(dim=2), images.diff(dim=3)
    return down.square().mean() + right.square().mean()
