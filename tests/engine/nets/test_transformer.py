"""The transformer that is read by its class token: how it begins, its stems, and which layer is first."""

import math

import pytest
import torch
from torch import nn

from engine.nets.classifier import backbone
from engine.nets.transformer import first_layer, transformer, transformer_in


def test_it_begins_as_published():
    torch.manual_seed(0)
    net = transformer(3, size=32, patch=8, width=48, depth=2, heads=4).net
    assert net.cls_token.abs().max() < 1e-5
    assert not net.patch_embed.proj.bias.any()
    for weight, bound in (
        [(net.patch_embed.proj.weight, math.sqrt(6 / (3 * 64 + 48)))]
        + [(block.attn.qkv.weight, math.sqrt(6 / 96)) for block in net.blocks]
        + [(block.mlp.fc1.weight, math.sqrt(6 / 240)) for block in net.blocks]
    ):
        assert 0.98 * bound < weight.abs().max() <= bound  # uniform: the greatest of thousands is near the bound


def test_positions_are_fixed():
    net = transformer(3, size=32, patch=8, width=48, depth=1, heads=4).net
    assert "pos_embed" not in dict(net.named_parameters())


def test_the_first_layer_is_what_pixels_go_through():
    vit = transformer(1, size=28, patch=7, width=16, depth=1, heads=2)
    assert first_layer(vit) is vit.net.patch_embed
    for name in ("small", "resnet10t"):
        assert first_layer(backbone(name, 1)).in_channels == 1


def test_a_convolutional_stem_halves_until_a_token_is_left_of_a_patch():
    """Xiao et al. 2021: 3x3 convolutions of stride 2, the channels doubling, and one of 1x1."""
    torch.manual_seed(0)
    net = transformer(1, size=32, patch=8, width=16, depth=1, heads=2, stem="convolutional").eval()
    stem = net.net.patch_embed
    shapes = [tuple(part.weight.shape) for part in stem.modules() if isinstance(part, nn.Conv2d)]
    assert sorted(shapes) == sorted([(4, 1, 3, 3), (8, 4, 3, 3), (16, 8, 3, 3), (16, 16, 1, 1)])
    images = torch.rand(2, 1, 32, 24)
    by_hand = images
    for convolution, norm in zip(stem.convolutions[::3], stem.convolutions[1::3], strict=True):
        by_hand = norm(nn.functional.conv2d(by_hand, convolution.weight, stride=2, padding=1)).relu()
    by_hand = torch.einsum("bchw,dc->bhwd", by_hand, stem.proj.weight[:, :, 0, 0]).flatten(1, 2)
    torch.testing.assert_close(stem(images), by_hand)  # which has no bias at first
    assert stem(images).shape == (2, 4 * 3, 16)
    assert first_layer(net) is stem


def test_attention_goes_by_tokens_of_either_stem():
    for stem in ("patch", "convolutional"):
        net = transformer(1, size=32, patch=8, width=16, depth=2, heads=2, stem=stem).eval()
        maps = transformer_in(net, "vit").attention(torch.rand(2, 1, 64, 64))
        assert [tuple(each.shape) for each in maps] == [(2, 2, 65, 65)] * 2
    with pytest.raises(ValueError, match="backbone: small has no attention to look at; take one trained with vit"):
        transformer_in(backbone("small", 1), "small")


def test_sizes_that_do_not_fit_say_so():
    with pytest.raises(ValueError, match="patch 6 is not 2, 4, 8 or another power of 2, as a convolutional stem"):
        transformer(1, size=24, patch=6, width=16, depth=1, heads=2, stem="convolutional")
    with pytest.raises(ValueError, match="patch: 5 does not divide the image size 28"):
        transformer(1, size=28, patch=5, width=16, depth=1, heads=2)
    with pytest.raises(ValueError, match="width: expected a multiple of 4 for two axes of sines and cosines, got 18"):
        transformer(1, size=28, patch=7, width=18, depth=1, heads=2)
    with pytest.raises(ValueError, match="heads: 3 does not divide the width 16"):
        transformer(1, size=28, patch=7, width=16, depth=1, heads=3)
