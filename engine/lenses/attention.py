"""Where the class token of a transformer looks, head by head: objects come out although nobody named or drew them."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.bench import Bench
from engine.method import Lens, Masks, Overlay, Params, Report, Table, knob

PATCHES = 1024
"""More patches than these are refused: attention takes room by their square, in every block."""


class Attentive(Protocol):
    """A transformer whose first token stands for the whole picture. patch: side of its patches in pixels."""

    @property
    def patch(self) -> int: ...

    def attention(self, images: Tensor) -> list[Tensor]:
        """Images (B, C, H, W) in [0, 1] -> the weights of each block, (B, heads, 1 + L, 1 + L), rows summing to 1, the
        class token first; the L patches row by row. H and W may be any multiples of the patch."""


def keeps(shares: Tensor, mass: float) -> Tensor:
    """Which of the last dimension's entries are needed to have `mass` of their sum, the largest first.

    As Caron et al. 2021 draw their masks: from the smallest upwards, what is beyond 1 - mass of the sum. shares: not
    negative. Returns booleans of the same shape.
    """
    if not 0 < mass <= 1:
        raise ValueError(f"mass: expected more than 0, at most 1, got {mass}")
    values, order = shares.sort(dim=-1)
    below = values.cumsum(dim=-1) / values.sum(dim=-1, keepdim=True).clamp(min=1e-12)
    return torch.zeros_like(shares, dtype=torch.bool).scatter_(-1, order, below > 1 - mass)


class HeadsParams(Params):
    mass: float = knob(0.6, "share of what a head looks at that its mask keeps", 0.05, 1.0)
    block: int = knob(1, "which block, counted from the last", 1, 64)
    larger: int = knob(1, "the picture enlarged so many times before it is cut into patches: a finer map", 1, 4)


@torch.no_grad()
def heads(model: Attentive, params: HeadsParams, images: Tensor, bench: Bench) -> Report:
    """Weights of the class token on the patches of one picture (1, C, H, W), a row a head, after all heads' mean.

    ValueError when there would be more than `PATCHES`.
    """
    count = (params.larger * images.shape[2] // model.patch) ** 2
    if count > PATCHES:
        raise ValueError(f"larger: {count} patches are too many; at most {PATCHES}, so take a smaller factor")
    picture = F.interpolate(images, scale_factor=params.larger, mode="bicubic").clamp(0, 1)
    weights = model.attention(picture)
    looks = weights[max(0, len(weights) - params.block)][0, :, 0, 1:].float()  # (heads, L)
    looks = torch.cat((looks.mean(dim=0, keepdim=True), looks))
    shares = looks / looks.sum(dim=1, keepdim=True)
    kept = keeps(shares, params.mass)
    return {
        "picture": picture.expand(len(looks), 3, -1, -1), "looks at": over_pixels(shares, picture),
        "kept": over_pixels(kept.float(), picture).long(), "head": ["all", *map(str, range(1, len(looks)))],
        "patches kept": kept.float().mean(dim=1), "as if evenly over": torch.special.entr(shares).sum(dim=1).exp(),
    }  # fmt: skip


def over_pixels(values: Tensor, picture: Tensor) -> Tensor:
    """One number a patch (N, L) -> the same number for each of its pixels (N, H, W); pictures are square."""
    grid = round(values.shape[1] ** 0.5)
    return F.interpolate(values.view(len(values), 1, grid, grid), picture.shape[-2:], mode="nearest")[:, 0]


HEADS = Lens(
    "Attention heads", HeadsParams, heads,
    (
        Overlay(("picture", "looks at"), "Where the class token looks: all heads together, then each alone."),
        Masks(("picture", "kept"), "The few patches that have most of it: with luck, an object, or a part of one."),
        Table(("head", "patches kept", "as if evenly over"), "The share of the patches that the mask keeps, and over "
              "how many patches a head looks, as if evenly. All of them: it looks nowhere in particular."),
    ),
    "Where does the network look to sum up a picture? Nobody told it what is the object.",
    takes="image",
    ends=lambda model, images: {"block": model.params.depth},
)  # fmt: skip
