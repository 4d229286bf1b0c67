"""How strong each of RandAugment's operations is at magnitude M: torchvision's table and the TensorFlow reference's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from engine.augment.operations import OPERATIONS, Operation
from engine.ops import warp

Scale = Literal["torchvision", "tf"]
LARGEST = 30
"""M lies in 0..30."""


@dataclass(frozen=True)
class Magnitudes:
    """An operation's argument at M = 0, 1, ... 30, in `unit`; () where it takes none. signed: negated half the time.

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


def check_scale(scale: str) -> None:
    if scale not in get_args(Scale):
        raise ValueError(f"scale: {scale!r} is not one of {', '.join(get_args(Scale))}")


def magnitudes(scale: Scale, size: tuple[int, int]) -> dict[str, Magnitudes]:
    """The table of one scale for images of `size` (height, width): name of the operation -> its arguments.

    "torchvision": every row grows from nothing to strong (torchvision.transforms.RandAugment, 31 bins).
    "tf": the released code (tensorflow/tpu, efficientnet/autoaugment.py, level M of 10). There posterize and solarize
    weaken as M grows (M <= 2 posterizes to black), the enhancements turn from less to more at M = 5, and translations
    are 10 M pixels whatever the size: below 100 px, use the other scale.
    """
    check_scale(scale)
    height, width = size
    if scale == "torchvision":
        slope, change = _line(0, 0.3), _line(0, 0.9)
        right, down, degrees = _line(0, 150 / 331 * width), _line(0, 150 / 331 * height), _line(0, 30)
        bits = tuple(float(8 - round(m / (LARGEST / 4))) for m in range(LARGEST + 1))
        threshold = _line(255, 0)
    else:
        levels = range(LARGEST + 1)
        slope, change = tuple(0.03 * m for m in levels), tuple((18 * m + 10) / 100 - 1 for m in levels)
        right = down = tuple(10.0 * m for m in levels)
        degrees = tuple(3.0 * m for m in levels)
        bits = tuple(float(min(8, 4 * m // 10)) for m in levels)
        threshold = tuple(float(min(256, 256 * m // 10)) for m in levels)
    enhancement = Magnitudes(change, "change", signed=scale == "torchvision")
    table = {
        Operation.SHEAR_X: Magnitudes(slope, "slope", signed=True),
        Operation.SHEAR_Y: Magnitudes(slope, "slope", signed=True),
        Operation.TRANSLATE_X: Magnitudes(right, "px", signed=True),
        Operation.TRANSLATE_Y: Magnitudes(down, "px", signed=True),
        Operation.ROTATE: Magnitudes(degrees, "degrees", signed=True),
        Operation.BRIGHTNESS: enhancement,
        Operation.COLOR: enhancement,
        Operation.CONTRAST: enhancement,
        Operation.SHARPNESS: enhancement,
        Operation.POSTERIZE: Magnitudes(bits, "bits"),
        Operation.SOLARIZE: Magnitudes(threshold, "threshold"),
    }
    return {OPERATIONS[operation]: table.get(operation, Magnitudes()) for operation in Operation}


def _line(start: float, end: float) -> tuple[float, ...]:
    # In float32, since the arguments must be torchvision's to the last bit.
    return tuple(torch.linspace(start, end, LARGEST + 1).tolist())


class Arguments(NamedTuple):
    """What each operation gets at one magnitude, first with sign +1, then with -1.

    number (2, 14) float32; matrix (2, 14, 2, 3) float32, the identity where the operation is no warp.
    """

    number: Tensor
    matrix: Tensor


@lru_cache(maxsize=64)
def arguments(scale: Scale, m: int, size: tuple[int, int]) -> Arguments:
    """The row of `magnitudes` at m, made once."""
    table = magnitudes(scale, size)
    number = torch.tensor([[table[name].at(m, sign) for name in OPERATIONS] for sign in (1, -1)], dtype=torch.float64)
    height, width = size
    pixels, none = number.trunc(), torch.zeros(2, dtype=torch.float64)
    matrix = warp.translation(torch.zeros_like(number), torch.zeros_like(number))
    matrix[:, Operation.SHEAR_X] = warp.shear_x(number[:, Operation.SHEAR_X], height)
    matrix[:, Operation.SHEAR_Y] = warp.shear_y(number[:, Operation.SHEAR_Y], width)
    matrix[:, Operation.TRANSLATE_X] = warp.translation(pixels[:, Operation.TRANSLATE_X], none)
    matrix[:, Operation.TRANSLATE_Y] = warp.translation(none, pixels[:, Operation.TRANSLATE_Y])
    matrix[:, Operation.ROTATE] = warp.rotation(number[:, Operation.ROTATE])
    return Arguments(number.float(), matrix.float())
