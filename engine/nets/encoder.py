"""The network that a self-supervised method teaches: a small transformer, or any backbone by name."""

from __future__ import annotations

from engine.nets.classifier import Backbone, backbone
from engine.nets.normalise import PIXELS, Normalise
from engine.nets.vit import ClassToken

DEPTH, HEADS = 3, 4
"""Blocks and attention heads of the small transformer."""


def encoder(name: str, channels: int, *, width: int, size: int, patch: int) -> Backbone:
    """ "vit" for a small transformer whose features are its class token, or what `backbone` knows.

    channels: 1 or 3. width: channels of the small network; the small transformer has four times as many numbers a
    token. size, patch: sides in pixels of the pictures it is made for and of its patches.
    """
    if name != "vit":
        return backbone(name, channels, width=width)
    net = ClassToken(channels, size, patch, 4 * width, DEPTH, HEADS)
    return Backbone(Normalise(*PIXELS[channels]), net, net.width)
