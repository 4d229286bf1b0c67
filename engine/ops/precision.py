"""Where a product must not be rounded to bfloat16."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(values: Tensor) -> AbstractContextManager[object]:
    """Autocast off where the values are: inside, matrix products are as precise as what goes into them."""
    device = values.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()
