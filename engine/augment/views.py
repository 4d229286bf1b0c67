"""Random views of images: the steps that self-supervised methods share, and the published recipes made of them.

A view is a callable: `view(images, generator)` takes (B, C, H, W), C of 1 or 3, uint8 or float in [0, 1], and returns
float in [0, 1]. Each image is decided about on its own. Grey images pass: they have no hue and no saturation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from engine.augment import filters, operations
from engine.augment.images import check_images, unit
from engine.ops.choose import choose, host_generator, to
from engine.ops.warp import resized_crop

Step = Callable[[Tensor, Generator], Tensor]
"""Float images in [0, 1] and a generator -> float images in [0, 1]."""


@dataclass(frozen=True)
class View:
    """Steps, one after the other."""

    steps: tuple[Step, ...]

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        images, host = unit(check_images(images)), host_generator(generator)
        for step in self.steps:
            images = step(images, host)
        return images


@dataclass(frozen=True)
class Crop:
    """A random part, resized to `size` pixels square (None: to the images' size), mirrored with probability `flip`.

    area: range of the part's share of the image; aspect: range of its width over its height, uniform in the logarithm.
    Both as torchvision's RandomResizedCrop draws them: ten attempts to fit into the image, then its centre. Bilinear
    without antialias: load images near the size asked for.
    """

    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    size: int | None = None

    ATTEMPTS: ClassVar[int] = 10

    def __post_init__(self) -> None:
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise ValueError(f"area: expected 0 < least <= most <= 1, got {self.area}")
        if not 0 < self.aspect[0] <= self.aspect[1]:
            raise ValueError(f"aspect: expected 0 < least <= most, got {self.aspect}")
        if self.size is not None and self.size < 1:
            raise ValueError(f"size: expected 1 pixel or more, got {self.size}")
        _check_probability("flip", self.flip)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        host, (height, width) = host_generator(generator), images.shape[-2:]
        boxes = self.draw(len(images), (height, width), host)
        flip = torch.rand(len(images), generator=host) < self.flip
        size = (height, width) if self.size is None else (self.size, self.size)
        return resized_crop(images, to(boxes, images), size, to(flip, images)).clamp_(0, 1)

    def draw(self, batch: int, size: tuple[int, int], generator: Generator) -> Tensor:
        """(batch, 4) boxes x1, y1, x2, y2 in whole pixels of images of `size` (height, width); on the CPU."""
        host, (height, width) = host_generator(generator), size
        area, aspect, x, y = torch.rand(4, self.ATTEMPTS, batch, generator=host)
        area = height * width * _between(area, *self.area)
        aspect = _between(aspect, math.log(self.aspect[0]), math.log(self.aspect[1])).exp()
        box_width, box_height = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
        fits = (box_width > 0) & (box_width <= width) & (box_height > 0) & (box_height <= height)
        first = fits.int().argmax(dim=0, keepdim=True)
        box_width, box_height, x, y, fits = (each.gather(0, first)[0] for each in (box_width, box_height, x, y, fits))
        left = (x * (width - box_width + 1)).floor().minimum(width - box_width)
        top = (y * (height - box_height + 1)).floor().minimum(height - box_height)
        boxes = torch.stack((left, top, left + box_width, top + box_height), dim=1)
        return torch.where(fits[:, None], boxes, torch.tensor(self._centre(height, width)))

    def _centre(self, height: int, width: int) -> tuple[float, float, float, float]:
        """The largest part about the centre whose aspect is allowed."""
        box_width = min(width, round(height * self.aspect[1]))
        box_height = min(height, round(width / self.aspect[0]))
        left, top = (width - box_width) // 2, (height - box_height) // 2
        return float(left), float(top), float(left + box_width), float(top + box_height)


@dataclass(frozen=True)
class Shift:
    """Move by up to `share` of the side, in whole pixels, and mirror with probability `flip`.

    The border is continued by its mirror image or by zeros.
    """

    share: float = 0.125
    flip: float = 0.5
    border: Literal["reflect", "zeros"] = "reflect"

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 0.5:
            raise ValueError(f"share: expected 0 to 0.5 of the side, got {self.share}")
        if self.border not in ("reflect", "zeros"):
            raise ValueError(f"border: {self.border!r} is neither 'reflect' nor 'zeros'")
        _check_probability("flip", self.flip)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        host, (batch, _, height, width) = host_generator(generator), images.shape
        down, across = round(self.share * height), round(self.share * width)
        top = torch.randint(2 * down + 1, (batch,), generator=host)
        left = torch.randint(2 * across + 1, (batch,), generator=host)
        flip = torch.rand(batch, generator=host) < self.flip
        padded = F.pad(images, (across, across, down, down), "reflect" if self.border == "reflect" else "constant")
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        moved = windows[torch.arange(batch, device=images.device), :, to(top, images), to(left, images)]
        return choose(moved, flip.long(), {1: lambda images: images.flip(-1)})


@dataclass(frozen=True)
class Jitter:
    """With probability p: brightness, contrast, saturation and hue, each changed at random, in an order of its own.

    An enhancement's factor is uniform in 1 ± its strength (never below 0), the hue's turn in ± its strength, in parts
    of the circle: torchvision's ColorJitter, decided for each image.
    """

    brightness: float
    contrast: float
    saturation: float
    hue: float
    p: float = 0.8

    CHANGES: ClassVar[tuple[Callable[[Tensor, Tensor], Tensor], ...]] = (
        operations.brightness, operations.contrast, operations.color, filters.hue,
    )  # fmt: skip
    UNCHANGED: ClassVar[int] = -1

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast", "saturation"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        if not 0 <= self.hue <= 0.5:
            raise ValueError(f"hue: expected 0 to 0.5 of the circle, got {self.hue}")
        _check_probability("p", self.p)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        amount, order = self.draw(len(images), generator)
        return self.apply(images, amount, order)

    def draw(self, batch: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """amount (batch, 4): change of brightness, contrast, saturation, turn of hue. order (batch, 4): which is first,
        second, ... as columns of amount, or -1 throughout for an image that is left alone. Both on the CPU."""
        host = host_generator(generator)
        most = torch.tensor([self.brightness, self.contrast, self.saturation, self.hue])
        amount = _between(torch.rand(batch, 4, generator=host), -most.clamp(max=1), most)
        order = torch.rand(batch, 4, generator=host).argsort(dim=1)
        applied = torch.rand(batch, 1, generator=host) < self.p
        return amount, torch.where(applied, order, self.UNCHANGED)

    def apply(self, images: Tensor, amount: Tensor, order: Tensor) -> Tensor:
        """Float images changed as `draw` decided."""
        strengths = (self.brightness, self.contrast, self.saturation, self.hue)
        changes = {column: change for column, change in enumerate(self.CHANGES) if strengths[column] > 0}
        for kind in order.unbind(dim=1):
            amount_now = amount.gather(1, kind.clamp(min=0)[:, None])[:, 0]
            images = choose(images, kind, changes, amount_now)
        return images


@dataclass(frozen=True)
class Grey:
    """Without colour, with probability p."""

    p: float = 0.2

    def __post_init__(self) -> None:
        _check_probability("p", self.p)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        greyed = torch.rand(len(images), generator=host_generator(generator)) < self.p
        return choose(images, greyed.long(), {1: lambda images: operations.grey(images).expand_as(images)})


@dataclass(frozen=True)
class Blur:
    """Blurred with probability p by a Gaussian whose sigma (pixels) is uniform in a range.

    The kernel is a tenth of the shorter side wide, but at least 3 pixels, as SimCLR has it; sigma is at most its
    radius, so that 28 pixel images are blurred by up to 1 pixel.
    """

    p: float = 0.5
    sigma: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        _check_probability("p", self.p)
        if not 0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError(f"sigma: expected 0 < least <= most, got {self.sigma}")

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        host = host_generator(generator)
        radius = max(1, min(images.shape[-2:]) // 20)
        blurred = torch.rand(len(images), generator=host) < self.p
        least, most = (min(limit, radius) for limit in self.sigma)
        sigma = _between(torch.rand(len(images), generator=host), least, most)
        blur = {1: lambda images, sigma: filters.gaussian_blur(images, sigma, radius)}
        return choose(images, blurred.long(), blur, sigma)


@dataclass(frozen=True)
class Solarize:
    """With probability p, everything at least as bright as 1/2 inverted."""

    p: float = 0.2

    def __post_init__(self) -> None:
        _check_probability("p", self.p)

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        chosen = torch.rand(len(images), generator=host_generator(generator)) < self.p
        return choose(images, chosen.long(), {1: lambda images: torch.where(images >= 0.5, 1 - images, images)})


def _between(uniform: Tensor, least: float | Tensor, most: float | Tensor) -> Tensor:
    return least + uniform * (most - least)


def _check_probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name}: expected a probability from 0 to 1, got {value}")


def simclr(
    size: int | None = None, strength: float = 1.0, area: tuple[float, float] = (0.08, 1.0), flip: float = 0.5,
    blur: float = 0.5, solarize: float = 0.0,
) -> View:  # fmt: skip
    """SimCLR (Chen et al., ICML 2020, appendix A): crop, flip, jitter, grey, blur.

    strength: of the colour distortion; 1 on ImageNet, 1/2 and no blur on CIFAR. solarize: BYOL's addition to one view.
    """
    s = strength
    steps: tuple[Step, ...] = (Crop(area, flip=flip, size=size), Jitter(0.8 * s, 0.8 * s, 0.8 * s, 0.2 * s, p=0.8))
    return View((*steps, Grey(0.2), Blur(blur), Solarize(solarize)))


def moco_v1(size: int | None = None, area: tuple[float, float] = (0.2, 1.0), flip: float = 0.5) -> View:
    """MoCo v1 (He et al., CVPR 2020, section 3.3): crop, grey, always jitter, flip."""
    return View((Crop(area, flip=flip, size=size), Grey(0.2), Jitter(0.4, 0.4, 0.4, 0.4, p=1.0)))


def moco_v2(
    size: int | None = None, area: tuple[float, float] = (0.2, 1.0), flip: float = 0.5, blur: float = 0.5
) -> View:
    """MoCo v2 (Chen, Fan, Girshick, He, 2020): MoCo v1's view with a milder hue and SimCLR's blur."""
    return View((Crop(area, flip=flip, size=size), Jitter(0.4, 0.4, 0.4, 0.1, p=0.8), Grey(0.2), Blur(blur)))


def weak(share: float = 0.125, flip: float = 0.5, border: Literal["reflect", "zeros"] = "reflect") -> View:
    """The weak view of semi-supervised learning (FixMatch, Sohn et al., NeurIPS 2020): shift and flip."""
    return View((Shift(share, flip, border),))


def crop_flip(size: int | None = None, area: tuple[float, float] = (0.2, 1.0), flip: float = 0.5) -> View:
    """MAE's (He et al., CVPR 2022) only augmentation; bilinear, where the release resizes bicubically."""
    return View((Crop(area, flip=flip, size=size),))
