"""From layouts to pixels: objects are sampled as patches, shaded, and painted from far to near.

Work grows with the patches, not with objects times image. Every operation is per scene or per element, so a scene's
pixels do not depend on the scenes rendered with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.data.scenes import affine
from engine.data.scenes.banks import Bank
from engine.data.scenes.parameters import Layout, Preset

LIGHT = (-0.4, -0.5, 0.77)
RELIEF = 0.6
"""How steep the relief appears: slopes are taken as RELIEF x half-extent x height."""


@dataclass(frozen=True)
class Stage:
    """What scenes are made from. photos (M, 3, S, S) uint8, textures (256, 3, S, S), all on `device`."""

    preset: Preset
    bank: Bank
    photos: Tensor
    textures: Tensor

    @property
    def device(self) -> torch.device:
        return self.photos.device


class Window(NamedTuple):
    """Where a patch meets the image: image[scene, ..., rows, columns] shows patch[..., patch_rows, patch_columns]."""

    scene: int
    number: int
    rows: slice
    columns: slice
    patch_rows: slice
    patch_columns: slice


@dataclass(frozen=True)
class Layers:
    """The M active objects of all scenes as square patches of side P, scene after scene, far to near.

    scene, rank (M,): whose they are, their place in the scene's order (instance n has rank n - 1); CPU.
    corner (M, 2): image pixel (x, y) of the patch's first pixel; CPU. alpha, height (M, P, P), colour (M, 3, P, P).
    """

    scene: Tensor
    rank: Tensor
    corner: Tensor
    alpha: Tensor
    height: Tensor
    colour: Tensor

    def __len__(self) -> int:
        return len(self.scene)

    def windows(self, size: int) -> Iterator[Window]:
        """One window for each patch, in painting order, empty slices where the patch lies outside the image."""
        side = self.alpha.shape[-1]
        places = torch.cat((self.scene[:, None], self.rank[:, None] + 1, self.corner), 1).tolist()
        for scene, number, x, y in places:
            (rows, patch_rows), (columns, patch_columns) = _overlap(y, side, size), _overlap(x, side, size)
            yield Window(scene, number, rows, columns, patch_rows, patch_columns)


def _overlap(start: int, side: int, size: int) -> tuple[slice, slice]:
    low, high = min(max(start, 0), size), min(max(start + side, 0), size)
    return slice(low, high), slice(low - start, high - start)


@dataclass(frozen=True)
class Render:
    """B rendered scenes. images (B, 3, H, W) in [0, 1]. instances (B, H, W) int64, 0 background, n the n-th object from
    the far end. ground (B, H, W) bool, also behind objects."""

    layout: Layout
    layers: Layers
    images: Tensor
    instances: Tensor
    ground: Tensor


def render(
    stage: Stage, layout: Layout, noise: Tensor, poses: Tensor | None = None, camera: Tensor | None = None,
    growth: float = 1.0,
) -> Render:  # fmt: skip
    """The scenes of a layout. noise (B, 3, H, W) is added to the image.

    poses (B, N, 2, 3), camera (B, 2, 3): of another moment than the layout's; growth: by how much objects may be larger
    than there.
    """
    poses = layout.pose if poses is None else poses
    images, ground = background(stage, layout, camera)
    layers = sample(stage, layout, poses, stage.preset.patch(growth))
    instances = torch.zeros(ground.shape, dtype=torch.int64, device=stage.device)
    solid = layers.alpha >= 0.5
    for m, window in enumerate(layers.windows(stage.preset.size)):
        scene, number, rows, columns, patch_rows, patch_columns = window
        canvas = images[scene, :, rows, columns]
        canvas += layers.alpha[m, patch_rows, patch_columns] * (layers.colour[m, :, patch_rows, patch_columns] - canvas)
        instances[scene, rows, columns].masked_fill_(solid[m, patch_rows, patch_columns], number)
    images = (images + noise.to(stage.device)).clamp_(0, 1)
    return Render(layout, layers, images, instances, ground)


def background(stage: Stage, layout: Layout, camera: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Images (B, 3, H, W) of the photographs alone and the ground region (B, H, W) bool. camera (B, 2, 3): where the
    background's pixels have moved to."""
    size, count = stage.preset.size, len(stage.photos)
    still = torch.tensor([[1.0, 0, 0], [0, 1, 0]], dtype=torch.float64).expand(len(layout.photo), 2, 3)
    origin = still if camera is None else affine.invert(camera)
    centres = torch.arange(size, device=stage.device) + 0.5
    grid = _points(affine.compose(layout.view, origin).float().to(stage.device), centres, centres)
    photo = (layout.photo * count).long()

    def shown(which: Tensor, gain: Tensor) -> Tensor:
        chosen = stage.photos[which.to(stage.device)].float() / 255
        picture = F.grid_sample(chosen, grid, padding_mode="reflection", align_corners=False)
        return picture * gain.float().to(stage.device)[:, None, None, None]

    images = shown(photo, layout.gain)
    ground = torch.zeros(images[:, 0].shape, dtype=torch.bool, device=stage.device)
    if stage.preset.ground:
        # Squares of one photograph are neighbours: the ground is never the photograph behind it.
        other = (photo + 2 + (layout.ground * (count - 3)).long()) % count
        x, y = _points(origin.float().to(stage.device), centres, centres).unbind(-1)
        slope, horizon = (value.float().to(stage.device)[:, None, None] for value in (layout.slope, layout.horizon))
        ground = y > horizon + slope * (x - size / 2)
        images = torch.where(ground[:, None], shown(other, layout.ground_gain), images)
    return images, ground


def sample(stage: Stage, layout: Layout, poses: Tensor, side: int) -> Layers:
    """Every active object on a patch of side `side` around its centre."""
    bank, device = stage.bank, stage.device
    scene, rank = layout.active.nonzero(as_tuple=True)
    pose, kind, member = poses[scene, rank], layout.kind[scene, rank], layout.member[scene, rank]
    corner = pose[:, :, 2].floor().long() - side // 2
    # Pixel centres relative to the corner -> canonical square.
    shift = affine.join(torch.eye(2, dtype=torch.float64).expand(len(pose), 2, 2), corner.double())
    centres = torch.arange(side, device=device) + 0.5
    grid = _points(affine.compose(affine.invert(pose), shift).float().to(device), centres, centres)

    which = bank.pick(kind, member)
    if bank.colours is None:
        colours = stage.textures[(layout.texture[scene, rank] * len(stage.textures)).long().to(device)]
    else:
        colours = bank.colours[which.to(device)]
    which = which.to(device)
    planes = torch.cat((bank.alpha[which, None], bank.height[which, None], colours), 1)
    sampled = F.grid_sample(planes, grid, align_corners=False)
    alpha, height, colour = sampled[:, 0], sampled[:, 1], sampled[:, 2:]

    tint = layout.tint[scene, rank].float().to(device)[:, :, None, None]
    if bank.colours is None:
        weight = stage.preset.texture
        colour = weight * colour * (0.5 + tint) + (1 - weight) * tint
    elif bank.tinted:
        colour = colour * tint
    if bank.shade:
        extent = layout.extent[scene, rank].float().to(device)
        normal = normals(height, extent)
        lit = (normal * torch.tensor(LIGHT, device=device)[:, None, None]).sum(1, keepdim=True).clamp(min=0)
        colour = colour * (1 - bank.shade + bank.shade * lit / LIGHT[2])
    return Layers(scene, rank, corner, alpha, height, colour)


def normals(height: Tensor, extent: Tensor) -> Tensor:
    """Unit normals (M, 3, P, P), n_z > 0, of heights (M, P, P) whose objects have half-extents (M,) in pixels."""
    slope_x, slope_y = torch.zeros_like(height), torch.zeros_like(height)
    slope_x[..., 1:-1] = (height[..., 2:] - height[..., :-2]) / 2
    slope_y[..., 1:-1, :] = (height[..., 2:, :] - height[..., :-2, :]) / 2
    steep = RELIEF * extent[:, None, None]
    normal = torch.stack((-steep * slope_x, -steep * slope_y, torch.ones_like(height)), 1)
    return normal / normal.square().sum(1, keepdim=True).sqrt()


def _points(maps: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """maps (K, 2, 3) of the grid of x (W,) and y (H,) -> (K, H, W, 2)."""
    maps = maps[:, None, None]
    return (maps[..., 0] * x[:, None] + maps[..., 2]) + maps[..., 1] * y[:, None, None]
