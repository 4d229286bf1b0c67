"""Motion from frame to frame and its exact optical flow."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from engine.data.scenes import affine
from engine.data.scenes.parameters import Layout, Preset

TURN, GROW = 0.25, 0.12
"""Largest turn in radians and largest logarithm of growth of an object from frame to frame."""

CAMERA = 1 / 3
"""The camera's ranges as a part of the objects'."""

GROWTH = math.exp(GROW * (1 + CAMERA))
"""By how much an object can be larger in the next frame."""


class Step(NamedTuple):
    """From a frame to the next: objects (B, N, 2, 3) and camera (B, 2, 3) move the frame's pixels; objects include the
    camera's motion."""

    objects: Tensor
    camera: Tensor


def step(preset: Preset, layout: Layout, poses: Tensor) -> Step:
    """Each object moves about its own centre in `poses` (B, N, 2, 3) by D = T(d) T(c) e^l R(w) T(-c), then with all
    else by the camera's G, which turns about the image's centre: P' = G D P. Small motions are the most frequent."""
    middle = torch.full((len(layout.camera), 2), preset.size / 2, dtype=torch.float64)
    camera = _motion(layout.camera, middle, preset.shift, CAMERA)
    own = _motion(layout.move, poses[..., 2], preset.shift, 1.0)
    return Step(affine.compose(camera[:, None], own), camera)


def _motion(uniform: Tensor, centre: Tensor, shift: float, part: float) -> Tensor:
    g = 2 * uniform - 1
    heavy = g.sign() * g.square()
    return affine.about(
        centre,
        angle=part * TURN * heavy[..., 2],
        scale=torch.exp(part * GROW * g[..., 3] ** 3),
        shift=part * shift * heavy[..., :2],
    )


def flow(moves: Step, instances: Tensor) -> Tensor:
    """F(p) = M_k p - p, (B, 2, H, W) in pixels, channel 0 = x, at pixel centres p of instance k (0: the camera)."""
    count, height, width = instances.shape
    maps = torch.cat((moves.camera[:, None], moves.objects), 1) - torch.eye(2, 3, dtype=torch.float64)
    table = maps.flatten(2).float().to(instances.device)
    own = table.gather(1, instances.flatten(1)[..., None].expand(-1, -1, 6)).view(count, height, width, 2, 3)
    x = torch.arange(width, device=instances.device) + 0.5
    y = torch.arange(height, device=instances.device) + 0.5
    return (own[..., 0] * x[:, None] + own[..., 1] * y[:, None, None] + own[..., 2]).permute(0, 3, 1, 2)


def back(moves: Step) -> Step:
    """The step from the next frame to this one."""
    return Step(affine.invert(moves.objects), affine.invert(moves.camera))


def occluded(forward: Tensor, now: Tensor, then: Tensor) -> Tensor:
    """(B, H, W) bool: where the flow leads, the next frame shows another instance, or there is no image.

    forward (B, 2, H, W). now, then (B, H, W): instances of both frames.
    """
    height, width = now.shape[1:]
    x = (forward[:, 0] + torch.arange(width, device=now.device) + 0.5).floor().long()
    y = (forward[:, 1] + torch.arange(height, device=now.device)[:, None] + 0.5).floor().long()
    outside = (x < 0) | (x >= width) | (y < 0) | (y >= height)
    at = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    return outside | (then.flatten(1).gather(1, at.flatten(1)).view_as(now) != now)
