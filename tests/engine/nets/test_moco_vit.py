"""MoCo v3's transformer: how it begins, which layer is first, and what released weights tell."""

import math

import pytest
import torch
from torch import nn

from engine.nets.classifier import backbone
from engine.nets.moco_vit import first_layer, moco_vit, released_sizes, renamed


def test_it_begins_as_published():
    torch.manual_seed(0)
    net = moco_vit(3, size=32, patch=8, width=48, depth=2, heads=4).net
    assert net.cls_token.abs().max() < 1e-5
    assert not net.patch_embed.proj.bias.any()
    for weight, bound in (
        [(net.patch_embed.proj.weight, math.sqrt(6 / (3 * 64 + 48)))]
        + [(block.attn.qkv.weight, math.sqrt(6 / 96)) for block in net.blocks]
        + [(block.mlp.fc1.weight, math.sqrt(6 / 240)) for block in net.blocks]
    ):
        assert 0.98 * bound < weight.abs().max() <= bound  # uniform: the greatest of thousands is near the bound


def test_positions_are_fixed():
    net = moco_vit(3, size=32, patch=8, width=48, depth=1, heads=4).net
    assert "pos_embed" not in dict(net.named_parameters())


def test_the_first_layer_is_what_pixels_go_through():
    vit = moco_vit(1, size=28, patch=7, width=16, depth=1, heads=2)
    assert first_layer(vit) is vit.net.patch_embed.proj
    for name in ("small", "resnet10t"):
        assert first_layer(backbone(name, 1)).in_channels == 1


def test_sizes_that_do_not_fit_say_so():
    with pytest.raises(ValueError, match="patch: 5 does not divide the image size 28"):
        moco_vit(1, size=28, patch=5, width=16, depth=1, heads=2)
    with pytest.raises(ValueError, match="width: expected a multiple of 4 for two axes of sines and cosines, got 18"):
        moco_vit(1, size=28, patch=7, width=18, depth=1, heads=2)
    with pytest.raises(ValueError, match="heads: 3 does not divide the width 16"):
        moco_vit(1, size=28, patch=7, width=16, depth=1, heads=3)


def test_released_weights_tell_their_sizes_and_are_renamed():
    net = moco_vit(3, size=32, patch=8, width=48, depth=3, heads=12).net
    head = nn.Sequential(nn.Linear(48, 20), nn.Identity(), nn.Identity(), nn.Linear(20, 20), nn.Identity(),
                         nn.Identity(), nn.Linear(20, 6))  # fmt: skip
    parts = {f"module.base_encoder.{name}": value for name, value in net.state_dict().items()}
    parts |= {f"module.base_encoder.head.{name}": value for name, value in head.state_dict().items()}
    assert released_sizes(parts) == (3, 32, 8, 48, 3, 20, 6)
    names = {"module.base_encoder.blocks.0.norm1.bias": "query.backbone.net.blocks.0.norm1.bias",
             "module.momentum_encoder.head.0.weight": "key.head.0.weight",
             "module.predictor.3.weight": "predictor.3.weight"}  # fmt: skip
    assert list(renamed(dict.fromkeys(names, torch.zeros(1)))) == list(names.values())


def test_released_weights_without_a_part_say_which_file_to_take():
    with pytest.raises(ValueError, match=r"it has no head\.0\.weight; take vit-s-300ep or vit-b-300ep"):
        released_sizes({"module.base_encoder.conv1.weight": torch.zeros(1)})
