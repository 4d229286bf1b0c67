"""What a network says of a whole set, undisturbed, and how much of it is right."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from engine.data.base import Batch
from engine.data.subset import labels_in
from engine.metrics.classification import accuracy


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
        for module, training in modes.items():
            module.training = training


@torch.no_grad()
def classifies(net: nn.Module, images: Tensor, classes: int) -> bool:
    """Whether `net`, in eval mode, answers each of images (B, C, H, W) with one row of logits (B, classes)."""
    try:
        told = net(images)
    except (TypeError, ValueError, RuntimeError):  # it wants something else, or has no `forward`
        return False
    return isinstance(told, Tensor) and told.shape == (len(images), classes)


def accuracy_of(net: nn.Module, batches: Iterable[Batch]) -> Tensor:
    """Share of the images of `batches` whose largest logit is their label's. A 0-d tensor, left on its device."""
    labels: list[Tensor] = []

    def kept() -> Iterable[Batch]:
        for batch in batches:
            labels.append(labels_in(batch))
            yield batch

    found = answers(net, kept()).argmax(dim=1)
    return accuracy(found, torch.cat(labels))
