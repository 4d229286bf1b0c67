"""Faults that pictures come with, each at one strength: what a model did not see when it learned.

A fault is called as `corrupt(images, generator)`; images (B, C, H, W) float in [0, 1], the same shape and range back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Generator, Tensor

from engine.augment.filters import gaussian_blur
from engine.ops.choose import choose, host_generator, to
from engine.ops.warp import rotation, warp, zoom

Corrupt = Callable[[Tensor, Generator], Tensor]


def turned(images: Tensor, generator: Generator, degrees: float) -> Tensor:
    """Counter-clockwise, black beyond the border."""
    return warp(images, rotation(images.new_full((len(images),), degrees))).clamp_(0, 1)


def magnified(images: Tensor, generator: Generator, factor: float) -> Tensor:
    return warp(images, zoom(images.new_full((len(images),), factor))).clamp_(0, 1)


def faint(images: Tensor, generator: Generator, share: float = 0.35) -> Tensor:
    """Contrast about mid-grey lowered to a share."""
    return 0.5 + share * (images - 0.5)


def powered(images: Tensor, generator: Generator, gamma: float) -> Tensor:
    """Dark for a gamma above 1, bright below."""
    return images.pow(gamma)


def blurred(images: Tensor, generator: Generator, share: float = 1 / 28) -> Tensor:
    """By a Gaussian of this share of the side."""
    sigma = share * images.shape[-1]
    return gaussian_blur(images, images.new_full((len(images),), sigma), max(1, round(3 * sigma)))


def noisy(images: Tensor, generator: Generator, deviation: float = 0.12) -> Tensor:
    noise = to(torch.randn(images.shape, generator=host_generator(generator)), images)
    return (images + deviation * noise).clamp_(0, 1)


def speckled(images: Tensor, generator: Generator, deviation: float = 0.6) -> Tensor:
    """Noise in proportion to brightness."""
    noise = to(torch.randn(images.shape, generator=host_generator(generator)), images)
    return (images + deviation * images * noise).clamp_(0, 1)


def turned_and_dark(images: Tensor, generator: Generator) -> Tensor:
    return powered(turned(images, generator, 25), generator, 2.5)


CORRUPTIONS: dict[str, Corrupt] = {
    "none": lambda images, generator: images,
    "turned left": partial(turned, degrees=25),
    "turned right": partial(turned, degrees=-25),
    "too near": partial(magnified, factor=1.3),
    "too far": partial(magnified, factor=0.75),
    "faint": faint,
    "dark": partial(powered, gamma=2.5),
    "blurred": blurred,
    "noisy": noisy,
    "bright": partial(powered, gamma=0.4),
    "speckled": speckled,
    "turned and dark": turned_and_dark,
}


def corrupted(images: Tensor, kind: Tensor, generator: Generator) -> Tensor:
    """Image b with the fault numbered kind[b], as they stand in `CORRUPTIONS`; kind (B,) integers on the CPU."""
    functions = {i: partial(_call, corrupt, generator) for i, corrupt in enumerate(CORRUPTIONS.values())}
    return choose(images, kind, functions)


def _call(corrupt: Corrupt, generator: Generator, images: Tensor) -> Tensor:
    return corrupt(images, generator)
