"""The vision transformer (Dosovitskiy et al. 2021) with fixed sine-cosine positions.

Parameters are named as in timm and in the released masked autoencoders, so that published weights load as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sincos_positions(width: int, rows: int, columns: int) -> Tensor:
    """(1, 1 + rows * columns, width): zeros for the class token, then row by row
    [sin x w, cos x w, sin y w, cos y w] with w_k = 10000^(-k / (width / 4)), k < width / 4."""
    if width % 4:
        raise ValueError(f"width: expected a multiple of 4 for two axes of sines and cosines, got {width}")
    frequency = 10_000 ** (-torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    x, y = x.reshape(-1, 1) * frequency, y.reshape(-1, 1) * frequency
    grid = torch.cat((x.sin(), x.cos(), y.sin(), y.cos()), dim=1)
    return torch.cat((torch.zeros(1, width), grid.float()))[None]


class PatchEmbed(nn.Module):
    """(B, C, H, W) -> (B, L, width): every patch x patch square by one linear map, row by row."""

    def __init__(self, channels: int, patch: int, width: int):
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, patch)
        nn.init.xavier_uniform_(self.proj.weight.flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(images).flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention, softmax(Q K^T / sqrt(width / heads)) V, on tokens (B, N, width)."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        if width % heads:
            raise ValueError(f"heads: {heads} does not divide the width {width}")
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def _split(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B, heads, N, width / heads)."""
        query, key, value = self.qkv(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return query, key, value

    def forward(self, tokens: Tensor) -> Tensor:
        mixed = F.scaled_dot_product_attention(*self._split(tokens))
        return self.proj(mixed.transpose(1, 2).flatten(2))

    def weights(self, tokens: Tensor) -> Tensor:
        """Who looks at whom: (B, heads, N, N), rows summing to 1."""
        query, key, _ = self._split(tokens)
        return (query @ key.transpose(2, 3) / query.shape[3] ** 0.5).softmax(dim=3)


class Mlp(nn.Module):
    """width -> hidden -> width with GELU, token by token."""

    def __init__(self, width: int, hidden: int):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(tokens)))


class Block(nn.Module):
    """z' = z + MSA(LN z), z = z' + MLP(LN z') (Dosovitskiy et al. 2021, eq. 2-3)."""

    def __init__(self, width: int, heads: int, expansion: float = 4.0):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, int(width * expansion))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


def attention_weights(blocks: nn.ModuleList, tokens: Tensor) -> list[Tensor]:
    """Who looks at whom in each block that tokens (B, N, width) pass: (B, heads, N, N), rows summing to 1."""
    weights = []
    for block in cast("Iterable[Block]", blocks):
        weights.append(block.attn.weights(block.norm1(tokens)))
        tokens = block(tokens)
    return weights


def init_linear(module: nn.Module) -> None:
    """For `module.apply`: Xavier-uniform linear maps without bias, as the masked autoencoders start."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)


class VisionTransformer(nn.Module):
    """(B, channels, H, W) -> tokens (B, 1 + L, width), the class token first, after the last LayerNorm.

    L = H / patch * W / patch. size: height and width for which positions are made; see `positions` for others. `embed`
    and `encode` are the two halves of `forward`: whoever hides tokens stands between.
    """

    pos_embed: Tensor

    def __init__(
        self, channels: int, size: int, patch: int, width: int, depth: int, heads: int, expansion: float = 4.0
    ):
        super().__init__()
        if size % patch:
            raise ValueError(f"patch: {patch} does not divide the image size {size}")
        self.size, self.patch, self.width, self.grid = size, patch, width, size // patch
        self.patch_embed = PatchEmbed(channels, patch, width)
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.register_buffer("pos_embed", sincos_positions(width, self.grid, self.grid))
        self.blocks = nn.ModuleList(Block(width, heads, expansion) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.blocks.apply(init_linear)

    def embed(self, images: Tensor) -> Tensor:
        """Patches with their positions, without the class token: (B, L, width)."""
        height, width = images.shape[-2:]
        if height % self.patch or width % self.patch:
            raise ValueError(f"images: {height} x {width} pixels are no whole number of {self.patch}-pixel patches")
        return self.patch_embed(images) + self.positions(height // self.patch, width // self.patch)

    def positions(self, rows: int, columns: int) -> Tensor:
        """Positions (1, rows * columns, width): the grid's own, or these stretched over another number of patches by
        bicubic interpolation, as for small crops (Caron et al. 2021)."""
        own = self.pos_embed[:, 1:]
        if (rows, columns) == (self.grid, self.grid):
            return own
        square = own.transpose(1, 2).unflatten(2, (self.grid, self.grid))
        return F.interpolate(square, (rows, columns), mode="bicubic").flatten(2).transpose(1, 2)

    def encode(self, tokens: Tensor) -> Tensor:
        """Any N of the embedded patches, in any order: (B, N, width) -> (B, 1 + N, width)."""
        tokens = self.with_class(tokens)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    def forward(self, images: Tensor) -> Tensor:
        return self.encode(self.embed(images))

    def attention(self, images: Tensor) -> list[Tensor]:
        """The attention weights of each block, (B, heads, 1 + L, 1 + L), the class token first."""
        return attention_weights(self.blocks, self.with_class(self.embed(images)))

    def with_class(self, tokens: Tensor) -> Tensor:
        """The class token put before embedded patches: (B, N, width) -> (B, 1 + N, width)."""
        first = self.cls_token + self.pos_embed[:, :1]
        return torch.cat((first.expand(len(tokens), -1, -1), tokens), dim=1)


class ClassToken(VisionTransformer):
    """(B, channels, H, W) -> (B, width): the class token alone, after the last LayerNorm."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images)[:, 0]
