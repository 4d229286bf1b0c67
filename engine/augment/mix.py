"""Mixup (Zhang et al., ICLR 2018, arXiv:1710.09412) and CutMix (Yun et al., ICCV 2019, arXiv:1905.04899).

Each image is mixed with a partner from the same batch, and so are the targets: cross-entropy is linear in its target,
so cross-entropy with the mixed target is the papers' loss, lambda l(y) + (1 - lambda) l(y of the partner).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from engine.augment.images import per_image
from engine.ops.choose import host_generator, to


class Mixed(NamedTuple):
    """images (B, C, H, W); targets (B, K), probabilities; share (B,): lambda, what is left of the image itself;
    partner (B,): who it is mixed with."""

    images: Tensor
    targets: Tensor
    share: Tensor
    partner: Tensor


def mixup(
    images: Tensor, targets: Tensor, generator: Generator, alpha: float = 1.0, classes: int | None = None,
    per_image_share: bool = False,
) -> Mixed:  # fmt: skip
    """lambda x + (1 - lambda) x_partner with lambda ~ Beta(alpha, alpha), and the same of the targets; the partners are
    a random permutation of the batch.

    images (B, C, H, W) float; targets (B, K) probabilities, or (B,) labels below `classes`. alpha 0 mixes nothing.
    per_image_share: a lambda for each image; the papers draw one a batch.
    """
    if not images.is_floating_point():
        raise TypeError(f"images: expected floating point, got {images.dtype}; mixing makes values in between")
    targets, host = _check(images, targets, alpha, classes), host_generator(generator)
    share = to(_shares(len(images), alpha, per_image_share, host), images)
    partner = to(torch.randperm(len(images), generator=host), images)
    weight = per_image(share).to(images.dtype)
    return Mixed(weight * images + (1 - weight) * images[partner], _mix(targets, share, partner), share, partner)


def cutmix(
    images: Tensor, targets: Tensor, generator: Generator, alpha: float = 1.0, classes: int | None = None,
    per_image_share: bool = False,
) -> Mixed:  # fmt: skip
    """A box of the partner pasted into each image. As `mixup`, also for uint8.

    The box has sides sqrt(1 - lambda) of the image's (in even numbers of pixels, as in the release) and any pixel as
    its centre. Where the border cuts it off, lambda becomes the share that is really left (section 3.1, equation 2).
    """
    targets, host = _check(images, targets, alpha, classes), host_generator(generator)
    batch, _, height, width = images.shape
    drawn = _shares(batch, alpha, per_image_share, host)
    inside_y = _interval(height, (1 - drawn).sqrt(), per_image_share, host)
    inside_x = _interval(width, (1 - drawn).sqrt(), per_image_share, host)
    share = to(1 - inside_y.sum(dim=1) * inside_x.sum(dim=1) / (height * width), images)
    partner = to(torch.randperm(batch, generator=host), images)
    box = to(inside_y, images)[:, None, :, None] & to(inside_x, images)[:, None, None, :]
    return Mixed(torch.where(box, images[partner], images), _mix(targets, share, partner), share, partner)


def _interval(side: int, share: Tensor, per_image_share: bool, host: Generator) -> Tensor:
    """(B, side) bool: pixels within half of `share` (B,) of the side of a centre drawn among all pixels."""
    centre = torch.randint(side, (len(share) if per_image_share else 1, 1), generator=host)
    half = (side * share).long()[:, None] // 2
    pixel = torch.arange(side)
    return (pixel >= centre - half) & (pixel < centre + half)


def beta(alpha: float, count: int, generator: Generator) -> Tensor:
    """(count,) draws from Beta(alpha, alpha), on the generator's device.

    For uniform U and V, T = sqrt(nu (U^(-2 / nu) - 1)) cos(2 pi V) has Student's t distribution with nu degrees of
    freedom (Bailey, Polar generation of random variates with the t-distribution, 1994), and with nu = 2 alpha
    1/2 + T / (2 sqrt(T^2 + nu)) is a draw from Beta(alpha, alpha). No rejection, and 0 or 1 in the limit alpha -> 0.
    """
    u, v = torch.rand(2, count, generator=generator, device=generator.device)
    power = u.log() / alpha
    ratio = power.exp() / -power.expm1()
    cosine = (2 * math.pi * v).cos()
    return 0.5 + 0.5 * cosine / (cosine.square() + ratio).sqrt()


def _shares(batch: int, alpha: float, per_image_share: bool, host: Generator) -> Tensor:
    """lambda of each image, (B,)."""
    if alpha == 0:
        return torch.ones(batch)
    return beta(alpha, batch if per_image_share else 1, host).expand(batch)


def _mix(targets: Tensor, share: Tensor, partner: Tensor) -> Tensor:
    weight = share[:, None].to(targets.dtype)
    return weight * targets + (1 - weight) * targets[partner]


def _check(images: Tensor, targets: Tensor, alpha: float, classes: int | None) -> Tensor:
    """The targets as probabilities."""
    if alpha < 0:
        raise ValueError(f"alpha: expected 0 or more, got {alpha}")
    if len(images) < 2:
        raise ValueError(f"images: expected a batch of at least 2 to find partners in, got {len(images)}")
    if len(targets) != len(images):
        raise ValueError(f"targets: {len(targets)} of them for {len(images)} images")
    if targets.ndim == 1:
        if classes is None:
            raise ValueError("classes: say how many there are, or give targets of shape (B, classes)")
        if targets.device.type == "cpu" and not (targets.min() >= 0 and targets.max() < classes):
            raise ValueError(f"targets: expected labels 0 to {classes - 1}, got {targets.min()} to {targets.max()}")
        return (targets[:, None] == torch.arange(classes, device=targets.device)).float()
    if targets.ndim != 2 or (classes is not None and targets.shape[1] != classes):
        raise ValueError(f"targets: expected shape ({len(images)}, {classes or 'K'}), got {tuple(targets.shape)}")
    return targets
