"""What is true of rendered scenes: boxes, masks, depth, normals, edges, who hides whom."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.data.scenes.render import Render, normals

LEAST_AREA = 16
"""An object with fewer visible pixels has no box; it stays in the image, in `instances` and in `semantic`."""

LEAST_VISIBLE = 0.25
"""A valid object with a smaller visible part is marked `ignore`."""

RELIEF_DEPTH = 0.25
"""The relief's height in units of depth for an object whose half-extent is the image's side."""


class Objects(NamedTuple):
    """Of the N possible objects of B scenes, farthest first.

    valid, ignore (B, N) bool. area, whole (B, N) int64: pixels seen, pixels of the whole object, also outside the
    image. boxes (B, N, 4) float: tight around what is seen, zero where nothing is.
    """

    valid: Tensor
    ignore: Tensor
    area: Tensor
    whole: Tensor
    boxes: Tensor


def objects(scenes: Render) -> Objects:
    """Which objects count, where they are and how much of them is seen."""
    numbers = torch.arange(1, scenes.layout.active.shape[1] + 1, device=scenes.instances.device)
    modal = scenes.instances[:, None] == numbers[:, None, None]
    columns, rows = modal.any(-2), modal.any(-1)
    area = modal.flatten(2).sum(-1)
    whole = torch.zeros_like(area)
    solid = (scenes.layers.alpha >= 0.5).flatten(1).sum(1)
    whole[scenes.layers.scene, scenes.layers.rank] = solid
    valid = area >= LEAST_AREA
    ignore = valid & (area < LEAST_VISIBLE * whole)
    boxes = torch.stack((_first(columns), _first(rows), _last(columns), _last(rows)), -1) * (area > 0)[..., None]
    return Objects(valid, ignore, area, whole, boxes.float())


def _first(hit: Tensor) -> Tensor:
    return hit.to(torch.uint8).argmax(-1)


def _last(hit: Tensor) -> Tensor:
    return hit.shape[-1] - _first(hit.flip(-1))


def amodal(scenes: Render) -> Tensor:
    """Whole objects within the image, hidden parts too: (M, H, W) bool for the M active objects of all scenes."""
    size = scenes.instances.shape[-1]
    solid = scenes.layers.alpha >= 0.5
    masks = torch.zeros((len(solid), size, size), dtype=torch.bool, device=solid.device)
    for m, window in enumerate(scenes.layers.windows(size)):
        masks[m, window.rows, window.columns] = solid[m, window.patch_rows, window.patch_columns]
    return masks


def amodal_boxes(scenes: Render) -> Tensor:
    """Tight boxes (M, 4) of the whole objects, which may reach outside the image."""
    solid = scenes.layers.alpha >= 0.5
    columns, rows = solid.any(-2), solid.any(-1)
    boxes = torch.stack((_first(columns), _first(rows), _last(columns), _last(rows)), -1)
    return (boxes + scenes.layers.corner.repeat(1, 2).to(boxes.device)).float()


def semantic(scenes: Render, classes: int) -> Tensor:
    """(B, H, W) int64: 0 background, 1..K things, K + 1 ground."""
    stuff = scenes.ground * (classes + 1)
    table = F.pad(scenes.layout.kind + 1, (1, 0)).to(stuff.device)
    thing = table.gather(1, scenes.instances.flatten(1)).view_as(scenes.instances)
    return torch.where(scenes.instances > 0, thing, stuff)


def seen(scenes: Render, behind: Tensor, values: Tensor) -> Tensor:
    """behind (B, C, H, W) with the visible objects' own values (M, C, P, P) laid over it."""
    result = behind.clone()
    for m, (scene, number, rows, columns, patch_rows, patch_columns) in enumerate(
        scenes.layers.windows(behind.shape[-1])
    ):
        mine = scenes.instances[scene, rows, columns] == number
        canvas = result[scene, :, rows, columns]
        canvas.copy_(torch.where(mine, values[m, :, patch_rows, patch_columns], canvas))
    return result


def depth(scenes: Render) -> Tensor:
    """(B, H, W): 3.2 to 3.8 behind, nearer at the bottom; objects at their own depth less their relief."""
    layers, layout, size = scenes.layers, scenes.layout, scenes.instances.shape[-1]
    y = torch.arange(size, device=layers.height.device) + 0.5
    plane = (3.2 + 0.6 * (size - y) / size)[:, None].expand(len(scenes.instances), 1, size, size)
    at = layout.depth[layers.scene, layers.rank].float().to(y.device)[:, None, None]
    relief = RELIEF_DEPTH * layout.extent[layers.scene, layers.rank].float().to(y.device)[:, None, None] / size
    return seen(scenes, plane, (at - relief * layers.height)[:, None])[:, 0]


def surface(scenes: Render) -> Tensor:
    """Unit normals (B, 3, H, W), taken inside each layer before layers are composed; (0, 0, 1) behind."""
    size, layers = scenes.instances.shape[-1], scenes.layers
    behind = torch.zeros(len(scenes.instances), 3, size, size, device=layers.height.device)
    behind[:, 2] = 1
    extent = scenes.layout.extent[layers.scene, layers.rank].float().to(behind.device)
    return seen(scenes, behind, normals(layers.height, extent))


def edges(instances: Tensor) -> Tensor:
    """(B, H, W) bool: the right or the lower neighbour belongs to another instance."""
    edge = torch.zeros_like(instances, dtype=torch.bool)
    edge[..., :-1] |= instances[..., :-1] != instances[..., 1:]
    edge[..., :-1, :] |= instances[..., :-1, :] != instances[..., 1:, :]
    return edge


def hides(scenes: Render) -> Tensor:
    """(B, N, N) bool: [b, i, j] says that whole objects i and j overlap within the image and j is nearer."""
    most = scenes.layout.active.shape[1]
    result = torch.zeros(len(scenes.instances), most, most, dtype=torch.bool, device=scenes.instances.device)
    masks = amodal(scenes).flatten(1).float()
    for b in range(len(result)):
        mine = masks[(scenes.layers.scene == b).to(masks.device)]
        result[b, : len(mine), : len(mine)] = (mine @ mine.T > 0).triu(1)
    return result
