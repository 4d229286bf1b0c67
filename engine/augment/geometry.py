"""Boxes and masks moved as a policy moved their images. Operations on grey or colour leave both alone."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.augment.policy import WARP, Decisions, Policy, is_warp
from engine.data.base import VOID
from engine.ops.boxes import area, clip
from engine.ops.choose import choose, to
from engine.ops.warp import warp


def move_boxes(
    policy: Policy, decisions: Decisions, boxes: Tensor, size: tuple[int, int], least: float = 0.0
) -> Tensor:
    """The boxes (B, M, 4) of images of `size` (height, width) after what was decided; rows of NaN stay.

    A box becomes the axis-aligned hull of its moved corners, cut at the image's border after every step, since what
    left the image once does not come back. Of the hull of the hull of ..., and of the hull of the corners carried
    through all steps, the part in common is kept: either holds all that is left of the object. Where no more than the
    share `least` of the uncut hull is left, or nothing at all, the row becomes NaN.
    """
    _check(decisions, boxes, "boxes", len(boxes.shape) == 3 and boxes.shape[-1] == 4, "(B, M, 4)")
    if not 0 <= least < 1:
        raise ValueError(f"least: expected a share from 0 to below 1, got {least}")
    # Inverted on the host: on a GPU, the question whether a matrix has an inverse would make the host wait.
    matrix = _warps(policy, decisions, size).double()
    turn = torch.linalg.inv(matrix[..., :2])
    shift = -(turn @ matrix[..., 2:])
    height, width = size
    moved = boxes.double()
    corners, centre = _corners(moved), to(torch.tensor([width / 2, height / 2], dtype=torch.float64), moved)

    def step(points: Tensor, turn: Tensor, shift: Tensor) -> Tensor:
        """points (B, M, 4, 2), turn (B, 2, 2), shift (B, 2, 1)."""
        return (points - centre) @ turn[:, None].mT + shift[:, None].mT + centre

    for turn_now, shift_now in zip(to(turn, moved), to(shift, moved), strict=True):
        corners = step(corners, turn_now, shift_now)
        moved = clip(_hull(step(_corners(moved), turn_now, shift_now)), height, width)
        # A box without area, turned, would have one again.
        moved = moved.masked_fill((area(moved) <= 0)[..., None], torch.nan)
    whole = _hull(corners)
    within = clip(whole, height, width)
    low, high = torch.maximum(moved[..., :2], within[..., :2]), torch.minimum(moved[..., 2:], within[..., 2:])
    kept = torch.cat((low, high), dim=-1)
    gone = area(kept) <= least * area(whole)
    return kept.masked_fill(gone[..., None], torch.nan).to(boxes.dtype)


def move_masks(policy: Policy, decisions: Decisions, masks: Tensor) -> Tensor:
    """The masks (B, H, W), integers of 0 to 2^24, after what was decided: by nearest pixel, `VOID` from outside."""
    _check(decisions, masks, "masks", masks.ndim == 3 and not masks.is_floating_point(), "(B, H, W), of integers")
    matrix = _warps(policy, decisions, (masks.shape[1], masks.shape[2]))
    moved = masks[:, None].float()

    def warped(masks: Tensor, matrix: Tensor) -> Tensor:
        return warp(masks, matrix, "nearest", fill=float(VOID))

    for kind, matrix_now in zip(decisions.kind, matrix, strict=True):
        moved = choose(moved, kind.masked_fill(is_warp(kind), WARP), {WARP: warped}, matrix_now)
    return moved[:, 0].to(masks.dtype)


def _warps(policy: Policy, decisions: Decisions, size: tuple[int, int]) -> Tensor:
    """(steps, B, 2, 3): from output to input, the identity where nothing moves."""
    if decisions.share is not None:
        raise ValueError(
            f"decisions: {type(policy).__name__} lays differently moved pictures over each other, so that boxes and "
            "masks have no one place; use a policy of a single chain"
        )
    matrix = decisions.looked_up(policy.space, size).matrix
    still = torch.eye(2, 3, dtype=matrix.dtype)
    return torch.where(decisions.applied[..., None, None], matrix, still)


def _check(decisions: Decisions, given: Tensor, name: str, right: bool, shape: str) -> None:
    if not right:
        raise ValueError(f"{name}: expected {shape}, got {tuple(given.shape)} of {given.dtype}")
    if len(given) != decisions.operation.shape[1]:
        raise ValueError(f"decisions: they are for {decisions.operation.shape[1]} images, not {len(given)}")


def _corners(boxes: Tensor) -> Tensor:
    """(..., 4) -> (..., 4, 2): x, y of the corners."""
    left, top, right, bottom = boxes.unbind(dim=-1)
    return torch.stack((left, top, right, top, left, bottom, right, bottom), dim=-1).unflatten(-1, (4, 2))


def _hull(corners: Tensor) -> Tensor:
    """(..., 4, 2) -> (..., 4)."""
    return torch.cat((corners.amin(dim=-2), corners.amax(dim=-2)), dim=-1)
