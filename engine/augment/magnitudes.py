"""How strong each operation is at magnitude M, in each published table.

RandAugment's tables are its `Scale`s, with M in 0..30; the other policies have a table each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from engine.augment.operations import NAMES, Operation
from engine.ops import warp

Scale = Literal["torchvision", "tf", "timm", "timm-inc"]
Space = Literal[Scale, "autoaugment", "wide", "augmix"]
LARGEST = 30
"""RandAugment's M lies in 0..30."""
TIMM_LARGEST = 10
"""timm reads every M above 10 as 10, unless told otherwise (`mmax`)."""


@dataclass(frozen=True)
class Magnitudes:
    """An operation's argument at M = 0, 1, ..., in `unit`; () where it takes none. signed: negated half the time.

    The unit "change" is the enhancements' f - 1, "slope" is the shears' pixels per pixel.
    """

    values: tuple[float, ...] = ()
    unit: Literal["", "slope", "px", "degrees", "change", "bits", "threshold"] = ""
    signed: bool = False

    def at(self, m: int, sign: int) -> float:
        """The argument at magnitude m, with the sign (+1 or -1) where the operation has one; 0 where it takes none."""
        if not self.values:
            return 0.0
        return self.values[m] * (sign if self.signed else 1)


def check_scale(scale: str, known: object = Scale) -> None:
    if scale not in get_args(known):
        raise ValueError(f"scale: {scale!r} is not one of {', '.join(get_args(known))}")


def bins(space: Space) -> int:
    """How many magnitudes a table has: 31, or the 10 of AutoAugment and AugMix."""
    return 10 if space in ("autoaugment", "augmix") else LARGEST + 1


class Strengths(NamedTuple):
    """Arguments at M = 0, 1, ... of the operations that take one. either_way: the enhancements have a sign too."""

    slope: tuple[float, ...]
    right: tuple[float, ...]
    down: tuple[float, ...]
    degrees: tuple[float, ...]
    change: tuple[float, ...]
    bits: tuple[float, ...]
    threshold: tuple[float, ...]
    either_way: bool = True


def magnitudes(space: Space, size: tuple[int, int]) -> dict[str, Magnitudes]:
    """One table for images of `size` (height, width): name of the operation -> its arguments.

    "torchvision": every row grows from nothing to strong (torchvision.transforms.RandAugment, 31 bins).
    "tf": the released code (tensorflow/tpu, efficientnet/autoaugment.py, level M of 10). There posterize and solarize
    weaken as M grows (M <= 2 posterizes to black), the enhancements turn from less to more at M = 5, and translations
    are 10 M pixels whatever the size: below 100 px, use the other scale.
    "timm": `rand-mM` of timm (data/auto_augment.py): tf's table, but that M stops at 10 and that translations are up to
    0.45 of the side, to fractions of a pixel.
    "timm-inc": `rand-mM-inc1`. Enhancements, either way, and solarize grow from nothing; posterize from 4 bits to 0.
    Both are of our fourteen operations: timm draws from Invert and SolarizeAdd as well, and has no identity. 0 bits are
    black, as in older releases of Pillow; with newer ones timm fails there (M <= 2, or 10 and more with inc1).
    "autoaugment", "augmix" (10 bins), "wide" (TrivialAugment, 31): torchvision.transforms.
    """
    check_scale(space, Space)
    strengths = _grown(space, *size) if space in GROWN else _released(space, *size)
    enhancement = Magnitudes(strengths.change, "change", signed=strengths.either_way)
    table = {
        Operation.SHEAR_X: Magnitudes(strengths.slope, "slope", signed=True),
        Operation.SHEAR_Y: Magnitudes(strengths.slope, "slope", signed=True),
        Operation.TRANSLATE_X: Magnitudes(strengths.right, "px", signed=True),
        Operation.TRANSLATE_Y: Magnitudes(strengths.down, "px", signed=True),
        Operation.ROTATE: Magnitudes(strengths.degrees, "degrees", signed=True),
        Operation.BRIGHTNESS: enhancement,
        Operation.COLOR: enhancement,
        Operation.CONTRAST: enhancement,
        Operation.SHARPNESS: enhancement,
        Operation.POSTERIZE: Magnitudes(strengths.bits, "bits"),
        Operation.SOLARIZE: Magnitudes(strengths.threshold, "threshold"),
    }
    return {NAMES[operation]: table.get(operation, Magnitudes()) for operation in Operation}


class Ends(NamedTuple):
    """Where torchvision's evenly growing rows end. bits: where they start, and how many are dropped by the end."""

    slope: float
    degrees: float
    change: float
    bits: tuple[int, int]


GROWN: dict[str, Ends] = {
    "torchvision": Ends(0.3, 30, 0.9, (8, 4)),
    "autoaugment": Ends(0.3, 30, 0.9, (8, 4)),
    "wide": Ends(0.99, 135, 0.99, (8, 6)),
    "augmix": Ends(0.3, 30, 0.9, (4, 4)),
}


def _grown(space: Space, height: int, width: int) -> Strengths:
    """torchvision's tables, in which every row grows evenly from nothing (but augmix's bits, from 4)."""
    count, ends = bins(space), GROWN[space]
    right, down = {"wide": (32.0, 32.0), "augmix": (width / 3, height / 3)}.get(
        space, (150 / 331 * width, 150 / 331 * height)
    )

    def line(start: float, end: float) -> tuple[float, ...]:
        # In float32, since the arguments must be torchvision's to the last bit.
        return tuple(torch.linspace(start, end, count).tolist())

    most, dropped = ends.bits
    bits = tuple(float(most - round(m / ((count - 1) / dropped))) for m in range(count))
    return Strengths(line(0, ends.slope), line(0, right), line(0, down), line(0, ends.degrees), line(0, ends.change),
                     bits, line(255, 0))  # fmt: skip


def _released(space: Space, height: int, width: int) -> Strengths:
    """The TensorFlow release's table, and timm's two readings of it."""
    levels = [m if space == "tf" else min(m, TIMM_LARGEST) for m in range(LARGEST + 1)]
    right, down = (100.0, 100.0) if space == "tf" else (0.45 * width, 0.45 * height)
    bits = tuple(float(min(8, 4 * m // 10)) for m in levels)
    threshold = tuple(float(min(256, 256 * m // 10)) for m in levels)
    change = tuple((18 * m + 10) / 100 - 1 for m in levels)
    if increasing := space == "timm-inc":
        bits, threshold = tuple(4 - each for each in bits), tuple(256 - each for each in threshold)
        change = tuple(0.09 * m for m in levels)
    return Strengths(
        tuple(0.03 * m for m in levels), tuple(right / 10 * m for m in levels), tuple(down / 10 * m for m in levels),
        tuple(3.0 * m for m in levels), change, bits, threshold, either_way=increasing,
    )  # fmt: skip


class Arguments(NamedTuple):
    """What each operation gets at each magnitude, first with sign +1, then with -1.

    number (bins, 2, 15) float32; matrix (bins, 2, 15, 2, 3) float32, the identity where the operation is no warp.
    """

    number: Tensor
    matrix: Tensor


@lru_cache(maxsize=64)
def arguments(space: Space, size: tuple[int, int]) -> Arguments:
    """The table of `magnitudes` as tensors, made once."""
    table = magnitudes(space, size)
    number = torch.tensor(
        [[[table[name].at(m, sign) for name in NAMES] for sign in (1, -1)] for m in range(bins(space))],
        dtype=torch.float64,
    )
    height, width = size
    # timm's translations alone are not in whole pixels.
    pixels = number if space in ("timm", "timm-inc") else number.trunc()
    none = torch.zeros_like(number[..., 0])
    matrix = warp.translation(torch.zeros_like(number), torch.zeros_like(number))
    matrix[:, :, Operation.SHEAR_X] = warp.shear_x(number[..., Operation.SHEAR_X], height)
    matrix[:, :, Operation.SHEAR_Y] = warp.shear_y(number[..., Operation.SHEAR_Y], width)
    matrix[:, :, Operation.TRANSLATE_X] = warp.translation(pixels[..., Operation.TRANSLATE_X], none)
    matrix[:, :, Operation.TRANSLATE_Y] = warp.translation(none, pixels[..., Operation.TRANSLATE_Y])
    matrix[:, :, Operation.ROTATE] = warp.rotation(number[..., Operation.ROTATE])
    return Arguments(number.float(), matrix.float())
