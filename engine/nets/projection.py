"""Heads that self-supervised methods put on a network and throw away afterwards."""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_linear_bn_eval


def projection(widths: tuple[int, ...], *, norm: bool = True, last_norm: bool = False) -> nn.Sequential:
    """Linear maps from one of `widths` to the next, ReLU between; (B, widths[0]) -> (B, widths[-1]).

    norm: batch norm before each ReLU, with linear maps free of bias. last_norm: batch norm without weights after the
    last map too, as MoCo v3 has it. Of a single width: the identity.
    """
    if not widths or min(widths) < 1:
        raise ValueError(f"widths: expected one or more numbers above 0, got {widths}")
    layers: list[nn.Module] = []
    last = len(widths) - 2
    for place, (inputs, outputs) in enumerate(pairwise(widths)):
        normed = last_norm if place == last else norm
        layers.append(nn.Linear(inputs, outputs, bias=not normed))
        if normed:
            layers.append(nn.BatchNorm1d(outputs, affine=place < last))
        if place < last:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def plain_layers(head: nn.Module) -> list[nn.Linear]:
    """The linear maps of a trained head in their order, each with the batch norm after it, as it is in eval mode, made
    part of it. ReLUs between them are left out."""
    found: list[nn.Linear] = []
    for each in head.modules():
        if isinstance(each, nn.Linear):
            found.append(each)
        elif isinstance(each, nn.BatchNorm1d) and found:
            found[-1] = fuse_linear_bn_eval(found[-1].eval(), each.eval())
    return found
