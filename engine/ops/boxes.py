"""Axis-aligned boxes [x1, y1, x2, y2] in continuous pixels, half open: overlaps, the anchor box coder, clip and flip.

Every overlap broadcasts over the leading axes: `iou(a, b)` compares row with row, `iou(a[:, None], b)` all pairs.
Boxes without area overlap nothing: their IoU is 0, never NaN.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

MAX_LOG_SCALE = math.log(1000 / 16)
"""Largest log(size / anchor size) that `decode` accepts before `exp`, so that a wild prediction stays finite."""

SIGMA = (0.1, 0.2)
"""Standard deviations of the box targets: of the centre, of the log size (Fast R-CNN's usual values)."""


def check_boxes(boxes: Tensor, name: str = "boxes") -> Tensor:
    """`boxes` (N, 4) as they are, or a ValueError that names the first bad row. Waits for the device: use it where
    annotations enter, not in a training step."""
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{name}: expected shape (N, 4) of x1, y1, x2, y2, got {tuple(boxes.shape)}")
    if not boxes.isfinite().all():
        row = int((~boxes.isfinite()).any(dim=1).nonzero()[0])
        raise ValueError(f"{name}: all four numbers must be finite (row {row} is {boxes[row].tolist()})")
    for side, low, high in (("width", 0, 2), ("height", 1, 3)):
        sizes = boxes[:, high] - boxes[:, low]
        if (sizes <= 0).any():
            row = int((sizes <= 0).nonzero()[0])
            corner = "xyxy"[low]
            raise ValueError(f"{name}: {corner}2 must exceed {corner}1 (row {row} has {side} {sizes[row].item()})")
    return boxes


def area(boxes: Tensor) -> Tensor:
    """(..., 4) -> (...), in square pixels; a box turned inside out has area 0."""
    width, height = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).unbind(-1)
    return width * height


def intersection(one: Tensor, two: Tensor) -> Tensor:
    """Area shared by two boxes, (..., 4) each, broadcast."""
    low = torch.maximum(one[..., :2], two[..., :2])
    high = torch.minimum(one[..., 2:], two[..., 2:])
    return area(torch.cat((low, high), dim=-1))


def ratio(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole, and 0 with zero gradient where `whole` is 0."""
    empty = whole <= 0
    return (part / whole.masked_fill(empty, 1)).masked_fill(empty, 0)


def iou(one: Tensor, two: Tensor) -> Tensor:
    """Intersection over union |A n B| / |A u B| in [0, 1]; (..., 4) each, broadcast."""
    shared = intersection(one, two)
    return ratio(shared, area(one) + area(two) - shared)


def giou(one: Tensor, two: Tensor) -> Tensor:
    """Generalised IoU in [-1, 1]: IoU - |C \\ (A u B)| / |C| with C the hull of both (Rezatofighi et al. 2019, alg. 1).

    Unlike the IoU it has a gradient for boxes that do not touch. (..., 4) each, broadcast.
    """
    shared = intersection(one, two)
    union = area(one) + area(two) - shared
    hull = area(torch.cat((torch.minimum(one[..., :2], two[..., :2]), torch.maximum(one[..., 2:], two[..., 2:])), -1))
    return ratio(shared, union) - ratio(hull - union, hull)


def _centre_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    size = boxes[..., 2:] - boxes[..., :2]
    return boxes[..., :2] + size / 2, size


def encode(boxes: Tensor, anchors: Tensor, sigma: tuple[float, float] = SIGMA) -> Tensor:
    """The regression target that `decode` turns back into `boxes` (R-CNN, Girshick et al. 2014, eq. 6-9, over sigma).

    boxes, anchors: (..., 4) with positive sizes. Returns (..., 4):
    t_x = (x - x_a) / (w_a sigma_centre), t_w = log(w / w_a) / sigma_size, and the same for y and h.
    """
    centre, size = _centre_size(boxes)
    anchor_centre, anchor_size = _centre_size(anchors)
    shift = (centre - anchor_centre) / anchor_size / sigma[0]
    log_scale = torch.log(size / anchor_size) / sigma[1]
    return torch.cat((shift, log_scale), dim=-1)


def decode(deltas: Tensor, anchors: Tensor, sigma: tuple[float, float] = SIGMA) -> Tensor:
    """Boxes (..., 4) from regression outputs (..., 4) and their anchors; growth is clamped at `MAX_LOG_SCALE`."""
    shift, log_scale = deltas.split(2, dim=-1)
    anchor_centre, anchor_size = _centre_size(anchors)
    centre = anchor_centre + shift * sigma[0] * anchor_size
    half = anchor_size * (log_scale * sigma[1]).clamp(max=MAX_LOG_SCALE).exp() / 2
    return torch.cat((centre - half, centre + half), dim=-1)


def clip(boxes: Tensor, height: float, width: float) -> Tensor:
    """Boxes (..., 4) cut at the border of a `height` x `width` image; one that lies outside ends without area."""
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return torch.stack((x, y), dim=-1).flatten(-2)


def flip(boxes: Tensor, width: float) -> Tensor:
    """Boxes (..., 4) after the image of this `width` is mirrored left to right."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack((width - x2, y1, width - x1, y2), dim=-1)
