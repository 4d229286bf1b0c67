"""Something else behind the thing in a picture: plain grey, noise, or what is behind another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Generator, Tensor

from engine.ops.choose import host_generator, to
from engine.ops.salient import Way, alone, in_front_of, salient

Behind = Literal["grey", "noise", "another"]


@dataclass(frozen=True)
class OtherBackground:
    """With probability p, something else behind what stands out in a picture (Tomasev et al. 2022, sec. 2.2).

    A step of a `View`. It stands before the crop: what stands out is found in the whole picture, and picture and mask
    are cropped alike. behind: plain grey; noise, uniform in every pixel; or the background of another picture of the
    batch, with the mean of its colours where its own thing was (of one picture alone: its own). way, edges: see
    `engine.ops.salient`.
    """

    p: float
    behind: Behind = "grey"
    way: Way = "auto"
    edges: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ValueError(f"p: expected a probability from 0 to 1, got {self.p}")
        if self.behind not in get_args(Behind):
            raise ValueError(f"behind: {self.behind!r} is not one of {', '.join(get_args(Behind))}")

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        host = host_generator(generator)
        rows = (torch.rand(len(images), generator=host) < self.p).nonzero()[:, 0]
        if not len(rows):
            return images
        here = to(rows, images)
        chosen = images.index_select(0, here)
        kept = salient(chosen, self.way, self.edges)
        return images.index_copy(0, here, in_front_of(chosen, kept, self.something_else(images, rows, host)))

    def something_else(self, images: Tensor, rows: Tensor, host: Generator) -> Tensor:
        """A background (R, C, H, W) for the images at `rows` (R,); rows and generator are on the host."""
        if self.behind == "grey":
            return torch.full_like(images[: len(rows)], 0.5)
        if self.behind == "noise":
            return to(torch.rand(len(rows), *images.shape[1:], generator=host), images)
        step = torch.randint(1, max(2, len(images)), (len(rows),), generator=host)
        others = images.index_select(0, to((rows + step) % len(images), images))
        return alone(others, salient(others, self.way, self.edges))
