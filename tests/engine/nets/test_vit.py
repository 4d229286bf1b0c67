"""The transformer against timm by copied weights, its positions against the formula, and the freedom of its tokens."""

import math

import pytest
import torch
import torch.nn.functional as F
from timm.layers import resample_abs_pos_embed
from timm.models.vision_transformer import VisionTransformer as TimmTransformer

from engine.nets.vit import Attention, Block, PatchEmbed, VisionTransformer, sincos_positions
from engine.ops.patchify import patchify


def net(**options) -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(**{"channels": 3, "size": 32, "patch": 8, "width": 48, "depth": 3, "heads": 4} | options)


IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_agrees_with_timm_by_copied_weights():
    theirs = TimmTransformer(32, 8, 3, num_classes=0, embed_dim=48, depth=3, num_heads=4).eval()
    ours = net()
    ours.load_state_dict(theirs.state_dict())  # strict: every name is the same
    torch.testing.assert_close(ours(IMAGES), theirs.forward_features(IMAGES), atol=1e-5, rtol=1e-4)


def test_positions_are_the_formula():
    positions = sincos_positions(8, 2, 3)[0]
    assert positions.shape == (7, 8)
    assert positions[0].tolist() == [0] * 8
    for row in range(2):
        for column in range(3):
            expected = []
            for place in (column, row):
                for wave in (math.sin, math.cos):
                    expected += [wave(place * 10_000 ** (-k / 2)) for k in range(2)]
            assert positions[1 + row * 3 + column].tolist() == pytest.approx(expected, abs=1e-6)


def test_patch_embedding_is_a_linear_map_of_patches():
    embed = PatchEmbed(3, 8, 10)
    weight = embed.proj.weight.permute(0, 2, 3, 1).flatten(1)  # patchify's order: row, column, channel
    torch.testing.assert_close(embed(IMAGES), F.linear(patchify(IMAGES, 8), weight, embed.proj.bias))


def test_attention_weights_explain_the_output():
    attention = Attention(12, 3)
    tokens = torch.randn(2, 5, 12)
    weights = attention.weights(tokens)
    torch.testing.assert_close(weights.sum(3), torch.ones(2, 3, 5))
    value = attention._split(tokens)[2]
    torch.testing.assert_close(attention(tokens), attention.proj((weights @ value).transpose(1, 2).flatten(2)))


def test_attention_of_every_block():
    model = net()
    maps = model.attention(IMAGES)
    assert [tuple(m.shape) for m in maps] == [(2, 4, 17, 17)] * 3
    last = {}
    model.blocks[2].attn.register_forward_pre_hook(lambda _, inputs: last.update(tokens=inputs[0]))
    model(IMAGES)
    torch.testing.assert_close(maps[2], model.blocks[2].attn.weights(last["tokens"]))


def test_order_of_embedded_patches_does_not_matter():
    model = net()
    tokens = model.embed(IMAGES)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    shuffled = model.encode(tokens[:, order])
    torch.testing.assert_close(shuffled[:, 0], model.encode(tokens)[:, 0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(shuffled[:, 1:], model.encode(tokens)[:, 1:][:, order], atol=1e-5, rtol=1e-4)


def test_some_patches_are_enough_and_positions_tell_them_apart():
    model = net()
    assert model.encode(model.embed(IMAGES)[:, :4]).shape == (2, 5, 48)
    flat = model.embed(torch.full((1, 3, 32, 32), 0.5))[0]
    assert torch.pdist(flat).min() > 0.1


def test_a_block_that_adds_nothing_is_the_identity():
    block = Block(12, 3)
    for layer in (block.attn.proj, block.mlp.fc2):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    tokens = torch.randn(2, 5, 12)
    assert torch.equal(block(tokens), tokens)


def test_positions_are_saved_but_never_trained():
    model = net()
    assert "pos_embed" in model.state_dict()
    assert "pos_embed" not in dict(model.named_parameters())


def test_bad_input():
    with pytest.raises(ValueError, match="patch: 5 does not divide the image size 32"):
        net(patch=5)
    with pytest.raises(ValueError, match="heads: 5 does not divide the width 48"):
        net(heads=5)
    with pytest.raises(ValueError, match="multiple of 4"):
        sincos_positions(6, 2, 2)
    with pytest.raises(ValueError, match="28 x 32 pixels are no whole number of 8-pixel patches"):
        net()(IMAGES[:, :, :28])


def test_other_sizes_stretch_the_positions_as_timm_does():
    model = net()
    assert model.positions(model.grid, model.grid) is not None
    wanted = resample_abs_pos_embed(model.pos_embed, [3, 6], antialias=False)[:, 1:]
    torch.testing.assert_close(model.positions(3, 6), wanted)
    assert model(IMAGES[:, :, :24, :16]).shape == (len(IMAGES), 1 + 3 * 2, model.width)
