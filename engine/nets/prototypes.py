"""A network that sorts pictures by prototypes while it learns: what SwAV and its successors share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.nets.classifier import Backbone
from engine.nets.projection import projection
from engine.ops.across import gather, rank, world
from engine.ops.sinkhorn import sinkhorn


class Prototypes(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> scores (B, K): cosines with the prototypes. What is used afterwards is
    `features`. queue: (2, N, dim), the latest of each large crop, the newest first."""

    queue: Tensor

    def __init__(
        self, backbone: Backbone, dim: int, prototypes: int, *,
        epsilon: float, iterations: int, queue: int = 0, norm: bool = True,
    ):  # fmt: skip
        """dim: numbers that the head tells. epsilon, iterations: of `sinkhorn`; 0 iterations let each view go where it
        likes. queue: earlier pictures of each large crop that are kept. norm: batch norm in the head."""
        super().__init__()
        self.epsilon, self.iterations = epsilon, iterations
        self.backbone = backbone
        self.backbone.to(memory_format=torch.channels_last)  # on a CPU, too, a small network is faster so
        width = self.backbone.out_features
        self.head = projection((width, width, dim), norm=norm)
        self.prototypes = nn.Parameter(F.normalize(torch.randn(prototypes, dim), dim=1))
        self.register_buffer("queue", F.normalize(torch.randn(2, queue, dim), dim=2))

    def features(self, images: Tensor) -> Tensor:
        return self.backbone(images)

    def project(self, images: Tensor) -> Tensor:
        return F.normalize(self.head(self.backbone(images)).float(), dim=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.scores(self.project(images))

    def scores(self, z: Tensor) -> Tensor:
        return z @ self.prototypes.T

    @torch.no_grad()
    def renew(self) -> None:
        """Make prototypes unit vectors again, as each step begins."""
        self.prototypes.copy_(F.normalize(self.prototypes, dim=1))

    def swap(self, z: Sequence[Tensor], with_queue: bool = False) -> tuple[list[Tensor], list[Tensor]]:
        """Scores (B, K) of each crop's z (B, dim), and codes (B, K) of the two large ones, which come first and enter
        the queue: what `swapped_prediction` takes."""
        codes = [self.codes(z[place], place, with_queue) for place in range(2)]
        for place in range(2):
            self.enqueue(z[place].detach(), place)
        return [self.scores(one) for one in z], codes

    @torch.no_grad()
    def codes(self, z: Tensor, place: int, with_queue: bool) -> Tensor:
        """Codes (B, K) of z (B, dim), those of large crop `place`."""
        everyone = torch.cat((z, self.queue[place][rank() :: world()])) if with_queue else z  # each rank brings a part
        return sinkhorn(self.scores(everyone), self.epsilon, self.iterations)[: len(z)]

    @torch.no_grad()
    def enqueue(self, z: Tensor, place: int) -> None:
        """Put z (B, dim) of all ranks before what is in the queue of a large crop; the oldest leave it."""
        self.queue[place] = torch.cat((gather(z), self.queue[place]))[: self.queue.shape[1]]
