"""One network that paints in 26 manners at once, and in any mixture of them.

Dumoulin, Shlens, Kudlur. A Learned Representation For Artistic Style. ICLR 2017. arXiv:1610.07629
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.assets import asset
from engine.nets.pretrained import Frozen

WEIGHTS = "weights/manners26_fp16.safetensors"
MANNERS = 26
EPSILON = 1e-3


class ConditionalNorm(nn.Module):
    """Conditional instance normalisation: z = gamma_s (x - mu(x)) / sigma(x) + beta_s, in which only gamma_s
    and beta_s belong to the manner s; mu and sigma are those of each channel of each image.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(MANNERS, channels))
        self.beta = nn.Parameter(torch.zeros(MANNERS, channels))

    def forward(self, maps: Tensor, mixture: Tensor) -> Tensor:
        """maps (B, C, H, W). mixture (B, MANNERS): the weight of each manner; between two lie mixtures."""
        scale, shift = (mixture @ each for each in (self.gamma, self.beta))
        return F.instance_norm(maps, eps=EPSILON) * scale[..., None, None] + shift[..., None, None]


class Stroke(nn.Module):
    """Convolution without bias, its edges mirrored, then conditional normalisation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1):
        super().__init__()
        self.stride = stride
        self.w = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        self.norm = ConditionalNorm(outputs)

    def forward(self, maps: Tensor, mixture: Tensor) -> Tensor:
        edge = self.w.shape[-1] // 2
        maps = F.pad(maps, (edge, edge, edge, edge), mode="reflect")
        return self.norm(F.conv2d(maps, self.w, stride=self.stride), mixture)


class Block(nn.ModuleList):
    """Maps, and what two strokes add to them."""

    def __init__(self, channels: int):
        super().__init__([Stroke(channels, channels, 3), Stroke(channels, channels, 3)])

    def forward(self, maps: Tensor, mixture: Tensor) -> Tensor:
        first, second = self
        return maps + second(first(maps, mixture).relu(), mixture)


class Manners(Frozen):
    """Images (B, 3, H, W) in [0, 1], sides of at least 5 pixels, and a mixture (B, 26) -> the same, painted.

    Three convolutions down to a quarter of the side, six residual blocks, three up, as the shapes of the weights tell,
    which are of TensorFlow's Magenta project and ship with the lab. What they do not tell is as in the paper (mirrored
    edges, nearest pixels on the way up), or assumed (EPSILON).
    """

    def __init__(self) -> None:
        super().__init__()
        from safetensors.torch import load_file

        self.contract = nn.ModuleList([Stroke(3, 32, 9), Stroke(32, 32, 3, 2), Stroke(32, 32, 3, 2)])
        self.res = nn.ModuleList([Block(32) for _ in range(6)])
        self.expand = nn.ModuleList([Stroke(32, 8, 3), Stroke(8, 4, 3), Stroke(4, 3, 9)])
        self.load_state_dict(load_file(asset(WEIGHTS)))
        self._freeze()

    def forward(self, images: Tensor, mixture: Tensor) -> Tensor:
        maps = images
        for stroke in self.contract:
            maps = stroke(maps, mixture).relu()
        for block in self.res:
            maps = block(maps, mixture)
        *up, last = self.expand
        for stroke in up:
            maps = stroke(F.interpolate(maps, scale_factor=2.0, mode="nearest"), mixture).relu()
        height, width = images.shape[-2:]
        return last(maps, mixture).sigmoid()[..., :height, :width]


def mixed(one: int, other: int, share: float) -> Tensor:
    """(1, 26): a manner (0 to 25), and by this share, in [0, 1], another."""
    mixture = torch.zeros(1, MANNERS)
    mixture[0, one] += 1 - share
    mixture[0, other] += share
    return mixture
