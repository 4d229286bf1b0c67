"""What somebody painted over a picture: a square of CELLS x CELLS, row by row, as text that fits into an address."""

from __future__ import annotations

import re

import torch
import torch.nn.functional as F
from torch import Tensor

CELLS = 32
DIGITS = CELLS * CELLS // 4


def cells(painted: str) -> Tensor:
    """(CELLS, CELLS) bool. painted: DIGITS hexadecimal digits, four cells each; "" for nothing.

    ValueError when it is something else.
    """
    if painted and not re.fullmatch(f"[0-9a-f]{{{DIGITS}}}", painted):
        raise ValueError(f"painted: {painted[:20]!r} is no painting; it has {DIGITS} hexadecimal digits")
    bits = f"{int(painted or '0', 16):0{CELLS * CELLS}b}"
    return torch.tensor([digit == "1" for digit in bits]).view(CELLS, CELLS)


def over(painted: str, rows: int) -> Tensor:
    """(rows * rows,) bool: the patches of a picture cut into rows x rows of which the brush covered a half or more."""
    share = F.interpolate(cells(painted)[None, None].float(), scale_factor=rows, mode="nearest")
    return (F.avg_pool2d(share, CELLS) >= 0.5).flatten()
