"""MoCo v3's transformers as released: what their weights tell."""

import pytest
import torch
from torch import nn

from engine.nets.moco_vit import released_sizes, renamed
from engine.nets.transformer import transformer


def test_released_weights_tell_their_sizes_and_are_renamed():
    net = transformer(3, size=32, patch=8, width=48, depth=3, heads=12).net
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
