"""What a network says of a whole set."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from engine.data.base import Batch


@torch.no_grad()
def answers(net: nn.Module, batches: Iterable[Batch]) -> Tensor:
    """The outputs of `net` on all images of `batches`, one row an image, in order and in float32.

    The network answers in eval mode, without dropout and with its running statistics; its modes are put back after.
    """
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        return torch.cat([net(batch.images).float() for batch in batches])
    finally:
        for module, mode in modes.items():
            module.training = mode
