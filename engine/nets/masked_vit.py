"""The vision transformer of masked autoencoders: an encoder of the visible patches and a decoder that paints the rest.

Parameters are named as in the released weights (facebookresearch/mae), which load as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from engine.nets.normalise import PIXELS, Normalise
from engine.nets.vit import Block, VisionTransformer, attention_weights, init_linear, sincos_positions
from engine.ops.patchify import Masking, block_noise, grid_noise, masking, patchify, take, uniform_noise, unpatchify

Kind = Literal["random", "block", "grid"]
NOISE = {"random": uniform_noise, "block": block_noise, "grid": grid_noise}
RELEASED_HEADS, RELEASED_DECODER_HEADS = {768: 12, 1024: 16, 1280: 16}, 16
"""Attention heads of the released encoders, by width, and of their decoders: what the weights' shapes do not tell."""


class Decoder(NamedTuple):
    """Numbers a token, blocks, attention heads."""

    width: int
    depth: int
    heads: int


def statistics(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (B, L, 1) of each patch (B, L, P); the variance divides by P - 1, plus 1e-6."""
    return patches.mean(dim=2, keepdim=True), (patches.var(dim=2, keepdim=True) + 1e-6).sqrt()


class MaskedViT(VisionTransformer):
    """Images (B, channels, size, size) in [0, 1], L patches each, P = patch * patch * channels numbers a patch."""

    decoder_pos_embed: Tensor

    def __init__(
        self, channels: int, size: int, patch: int, width: int, depth: int, heads: int, decoder: Decoder,
        norm_pix: bool = False,
    ):  # fmt: skip
        """norm_pix: it paints each patch less its mean, over its standard deviation."""
        super().__init__(channels, size, patch, width, depth, heads)
        self.norm_pix = norm_pix
        self.normalise = Normalise(*PIXELS[channels])
        self.decoder_embed = nn.Linear(width, decoder.width)
        self.mask_token = nn.Parameter(torch.randn(1, 1, decoder.width) * 0.02)
        self.register_buffer("decoder_pos_embed", sincos_positions(decoder.width, self.grid, self.grid))
        self.decoder_blocks = nn.ModuleList(Block(decoder.width, decoder.heads) for _ in range(decoder.depth))
        self.decoder_norm = nn.LayerNorm(decoder.width, eps=1e-6)
        self.decoder_pred = nn.Linear(decoder.width, patch**2 * channels)
        for part in (self.decoder_embed, self.decoder_blocks, self.decoder_pred):
            part.apply(init_linear)

    @classmethod
    def released(cls, weights: Mapping[str, Tensor], norm_pix: bool) -> MaskedViT:
        """A network of the sizes of released weights, with them (facebookresearch/mae, the file's "model").

        norm_pix: whether it was trained to paint normalised patches, which the weights do not tell. ValueError when
        they have no decoder, as those that are released for fine-tuning.
        """
        if "decoder_pred.weight" not in weights:
            raise ValueError(
                "it has no decoder, so it paints nothing; of the releases take those called visualize or full"
            )
        width, channels, patch, _ = weights["patch_embed.proj.weight"].shape
        depth, deep = (
            1 + max(int(name.split(".")[1]) for name in weights if name.startswith(blocks))
            for blocks in ("blocks.", "decoder_blocks.")
        )
        size = patch * round((weights["pos_embed"].shape[1] - 1) ** 0.5)
        decoder = Decoder(weights["decoder_embed.weight"].shape[0], deep, RELEASED_DECODER_HEADS)
        model = MaskedViT(
            channels, size, patch, width, depth, RELEASED_HEADS.get(width, width // 64), decoder, norm_pix
        )
        model.load_state_dict(dict(weights))
        return model

    def embed(self, images: Tensor) -> Tensor:
        if images.shape[-2:] != (self.size, self.size):
            height, width = images.shape[-2:]
            raise ValueError(f"images: expected {self.size} x {self.size} pixels, got {height} x {width}; resize them")
        return super().embed(images)

    def forward(self, images: Tensor, hidden: Masking) -> Tensor:  # type: ignore[override]
        """What the network paints in every patch, (B, L, P) in float32, from the visible ones alone."""
        tokens = self._decoder_input(self.encode(self._visible(images, hidden)), hidden)
        for block in self.decoder_blocks:
            tokens = block(tokens)
        return self.decoder_pred(self.decoder_norm(tokens))[:, 1:].float()

    def _visible(self, images: Tensor, hidden: Masking) -> Tensor:
        """The visible patches, which already know where they are: (B, K, width)."""
        return take(self.embed(self.normalise(images)), hidden.ids_keep)

    def _decoder_input(self, encoded: Tensor, hidden: Masking) -> Tensor:
        """Encoded class token and visible patches (B, 1 + K, width) -> (B, 1 + L, decoder width): mask tokens in the
        hidden places, and positions for all."""
        tokens = self.decoder_embed(encoded)
        batch, count = hidden.mask.shape
        masks = self.mask_token.to(tokens.dtype).expand(batch, count - hidden.ids_keep.shape[1], -1)
        patches = take(torch.cat((tokens[:, 1:], masks), dim=1), hidden.ids_restore)
        return torch.cat((tokens[:, :1], patches), dim=1) + self.decoder_pos_embed

    def hide(self, count: int, ratio: float, kind: Kind, generator: torch.Generator) -> Masking:
        """Which patches of `count` images are hidden: a share `ratio`, anywhere, in one block, or off a grid."""
        return masking(NOISE[kind](count, self.grid, self.grid, generator), ratio)

    def features(self, images: Tensor) -> Tensor:
        """(B, width): the mean over the patches of what the encoder makes of the whole picture."""
        return self.encode(self.embed(self.normalise(images)))[:, 1:].mean(dim=1)

    def targets(self, images: Tensor) -> Tensor:
        """What the patches of `images` look like to who paints them, (B, L, P)."""
        patches = patchify(self.normalise(images), self.patch)
        if not self.norm_pix:
            return patches
        mean, deviation = statistics(patches)
        return (patches - mean) / deviation

    def pixels(self, painted: Tensor, images: Tensor, seen: Tensor | None = None) -> Tensor:
        """The inverse of `targets`: painted patches (B, L, P) as images in [0, 1].

        With norm_pix each patch is given back the mean and deviation it has in `images`: for a hidden patch that is a
        leak. seen (B, L): 1 for patches whose average mean and deviation all are given instead.
        """
        if self.norm_pix:
            mean, deviation = statistics(patchify(self.normalise(images), self.patch))
            if seen is not None:
                share = (seen / seen.sum(dim=1, keepdim=True))[:, :, None]
                mean, deviation = ((each * share).sum(dim=1, keepdim=True) for each in (mean, deviation))
            painted = painted * deviation + mean
        drawn = unpatchify(painted, self.patch, self.size, self.size)
        return (drawn * self.normalise.deviation + self.normalise.mean).clamp(0, 1)

    def hole(self, hidden: Masking) -> Tensor:
        """(B, 1, size, size): 1 where a pixel is hidden."""
        return self.over_pixels(hidden.mask)[:, None]

    def over_pixels(self, values: Tensor) -> Tensor:
        """One number a patch (B, L) -> the same number for each of its pixels (B, size, size)."""
        return unpatchify(values[:, :, None].expand(-1, -1, self.patch**2), self.patch, self.size, self.size)[:, 0]

    def decoder_looks(self, images: Tensor, hidden: Masking, place: int) -> list[Tensor]:
        """Where the patch number `place` looks while it is painted: in each block of the decoder, (B, heads, L)."""
        tokens = self._decoder_input(self.encode(self._visible(images, hidden)), hidden)
        return [weights[:, :, 1 + place, 1:] for weights in attention_weights(self.decoder_blocks, tokens)]

    def encoder_looks(self, images: Tensor, hidden: Masking, place: int) -> tuple[list[Tensor], Tensor]:
        """The same in the encoder, for the visible patch nearest to `place`, and which one that is, (B,).

        Hidden patches are given the weight 0, which they have: the encoder does not know of them.
        """
        down, across = (hidden.ids_keep // self.grid, hidden.ids_keep % self.grid)
        nearest = ((down - place // self.grid) ** 2 + (across - place % self.grid) ** 2).argmin(dim=1)
        rows = torch.arange(len(images), device=images.device)
        looks = []
        for weights in attention_weights(self.blocks, self.with_class(self._visible(images, hidden))):
            looking = weights[rows, :, 1 + nearest, 1:]
            everywhere = looking.new_zeros(*looking.shape[:2], hidden.mask.shape[1])
            looks.append(everywhere.scatter_(2, hidden.ids_keep[:, None].expand_as(looking), looking))
        return looks, hidden.ids_keep[rows, nearest]
