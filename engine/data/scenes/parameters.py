"""What is drawn by lot before a pixel exists: seeds, presets, and the layout of every scene.

A scene owns one vector of uniform numbers: 16 for the scene, 24 for each possible object. New features take reserved
slots, so scenes that exist never change; and a scene depends on nothing but (seed, split, position).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.data.scenes import affine

SPLITS = ("train", "val", "test")

SCENE_SLOTS = (
    "count", "photo", "zoom", "turn", "x", "y", "gain", "horizon", "slope", "ground", "ground_gain", "reserved",
    "camera_x", "camera_y", "camera_turn", "camera_scale",
)  # fmt: skip
OBJECT_SLOTS = (
    "kind", "depth", "extent", "x", "y", "turn", "aspect", "texture", "red", "green", "blue",
    "move_x", "move_y", "move_turn", "move_scale", "member", *["reserved"] * 8,
)  # fmt: skip


def mix32(*integers: int) -> int:
    """The low 32 bits of SplitMix64 after absorbing each integer in turn (Steele, Lea, Flood, OOPSLA 2014).

    Only 32 bits, because torch's CPU generator reads no more of a seed: `split << 32 | index` would silently draw the
    training set again as test set.
    """
    state, mask = 0, (1 << 64) - 1
    for integer in integers:
        state = ((state ^ (integer & mask)) + 0x9E3779B97F4A7C15) & mask
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
        state ^= state >> 31
    return state & 0xFFFFFFFF


def stream(*integers: int) -> torch.Generator:
    """A generator of random numbers of its own for this tuple of integers."""
    return torch.Generator().manual_seed(mix32(*integers))


@dataclass(frozen=True)
class Preset:
    """How scenes look. Lengths are parts of the side unless they say pixels.

    size: height = width in pixels. objects, fewest: most and fewest objects of a scene. classes: K, 1 = "object" only.
    smallest, largest: half-extent of an object at depth 1; at depth z it is divided by sqrt(z).
    texture: how much of a shape's colour comes from a photograph. noise: standard deviation of pixel noise.
    ground: a second stuff region below a sloping horizon. free_rotation: full circle instead of +-30 degrees.
    spread: the part of the image where centres lie. depths: objects lie at depths 1 to 1 + depths.
    shift: largest motion from frame to frame in pixels.
    """

    size: int
    objects: int
    classes: int
    smallest: float
    largest: float
    texture: float = 0.5
    noise: float = 0.02
    ground: bool = False
    fewest: int = 1
    free_rotation: bool = False
    spread: float = 0.84
    depths: float = 2.0
    shift: float = 8.0

    def __post_init__(self) -> None:
        if self.size < 16:
            raise ValueError(f"size: {self.size} px is too small for objects of 16 pixels; use 16 or more")
        if not 0 <= self.fewest <= self.objects or self.objects < 1:
            raise ValueError(f"fewest, objects: got {self.fewest} and {self.objects}; use 0 <= fewest <= objects >= 1")
        if not 0 < self.smallest <= self.largest <= 0.5:
            raise ValueError(
                f"smallest, largest: got {self.smallest} and {self.largest}; use 0 < smallest <= largest <= 0.5"
            )

    @property
    def texels(self) -> int:
        """Side of the stored object pictures: finer for larger objects, within 1.5 of the largest one's diameter."""
        return min(64, 8 * math.ceil(2 * self.largest * self.size / 1.5 / 8))

    def patch(self, growth: float = 1.0) -> int:
        """Side in pixels, even, of a square that holds any object, also one that has grown by that factor."""
        half = self.largest * self.size * math.exp(0.175) * 1.03 * growth
        return 2 * math.ceil(half + 1)


PRESETS: dict[str, Preset] = {
    "scene64": Preset(64, 3, 4, 0.20, 0.38),
    "scene64s": Preset(64, 3, 4, 0.20, 0.38, ground=True),
    "scene64h": Preset(64, 4, 8, 0.18, 0.36, texture=0.7, ground=True),
    "scene32b": Preset(32, 2, 1, 0.30, 0.50, texture=0.4, noise=0.05),
    "scene96": Preset(96, 5, 8, 0.14, 0.28, texture=0.7),
    "scene256": Preset(256, 12, 8, 0.06, 0.30, texture=0.7, fewest=4, shift=16.0),
    "scene512": Preset(512, 24, 8, 0.06, 0.30, texture=0.7, fewest=8, shift=32.0),
    "masks32": Preset(32, 1, 8, 0.31, 0.41, noise=0.0, spread=0.02, depths=0.0),
    "flow64": Preset(64, 4, 8, 0.18, 0.36, texture=0.7, noise=0.0),
}
"""scene64: detection demos. scene64s, scene64h: segmentation, easy and hard. scene32b: binary, for annotators.
scene96: scale studies. scene256, scene512: GPU sizes. masks32: one whole object. flow64: optical flow, no noise."""


@dataclass(frozen=True)
class Layout:
    """B scenes of up to N objects, farthest first, inactive ones last; float64 on the CPU.

    active (B, N) bool. kind (B, N) int64 in 0..K-1. depth, extent (B, N): distance, half-extent in pixels.
    pose (B, N, 2, 3): canonical square [-1, 1]^2 -> pixels. tint (B, N, 3).
    member, texture (B, N) in [0, 1): which member of the class, which texture.
    move (B, N, 4), camera (B, 4): uniform numbers of the motion (x, y, turn, scale).
    photo, ground, gain, ground_gain, horizon, slope (B,): of the background. view (B, 2, 3): pixels -> photograph.
    """

    active: Tensor
    kind: Tensor
    depth: Tensor
    extent: Tensor
    pose: Tensor
    tint: Tensor
    member: Tensor
    texture: Tensor
    move: Tensor
    camera: Tensor
    photo: Tensor
    ground: Tensor
    gain: Tensor
    ground_gain: Tensor
    horizon: Tensor
    slope: Tensor
    view: Tensor


def uniforms(preset: Preset, seed: int, split: str, positions: Sequence[int]) -> Tensor:
    """The vectors of uniform numbers (B, 16 + 24 N) of these positions: one call of one generator for each."""
    slots = len(SCENE_SLOTS) + len(OBJECT_SLOTS) * preset.objects
    vectors = torch.empty(len(positions), slots)
    for row, position in enumerate(positions):
        vectors[row] = torch.rand(slots, generator=stream(seed, SPLITS.index(split), position))
    return vectors


def layout(preset: Preset, vectors: Tensor) -> Layout:
    """What the uniform numbers (B, 16 + 24 N) mean.

    In float64, so that rounding cannot depend on which scenes share a batch.
    """
    vectors = vectors.double()
    size, most, start = preset.size, preset.objects, len(SCENE_SLOTS)
    s = dict(zip(SCENE_SLOTS, vectors[:, :start].unbind(1), strict=True))
    objects = vectors[:, start:].unflatten(1, (most, len(OBJECT_SLOTS)))

    count = preset.fewest + (s["count"] * (most - preset.fewest + 1)).floor()
    active = torch.arange(most) < count[:, None]
    depth = 1 + preset.depths * objects[..., OBJECT_SLOTS.index("depth")]
    order = torch.where(active, -depth, torch.inf).argsort(dim=1, stable=True)
    objects = objects.gather(1, order[..., None].expand_as(objects))
    active, depth = active.gather(1, order), depth.gather(1, order)
    o = dict(zip(OBJECT_SLOTS, objects.unbind(2), strict=True))

    extent = (preset.smallest + (preset.largest - preset.smallest) * o["extent"]) * size / depth.sqrt()
    aspect = torch.exp((o["aspect"] - 0.5) * 0.7).sqrt()
    turn = (o["turn"] - 0.5) * (2 * math.pi if preset.free_rotation else math.pi / 3)
    centre = (0.5 + preset.spread * (torch.stack((o["x"], o["y"]), -1) - 0.5)) * size
    stretch = torch.stack((extent * aspect, extent / aspect), -1)

    zoom = 0.45 + 0.40 * s["zoom"]
    shown = affine.rotation((s["turn"] - 0.5) * 0.4) * zoom[:, None, None]
    at = (torch.stack((s["x"], s["y"]), -1) - 0.5) * 0.4
    normalised = torch.tensor([[2 / size, 0, -1], [0, 2 / size, -1]], dtype=torch.float64)
    return Layout(
        active=active,
        kind=(o["kind"] * preset.classes).long(),
        depth=depth,
        extent=extent,
        pose=affine.join(affine.rotation(turn) * stretch[..., None, :], centre),
        tint=0.25 + 0.75 * torch.stack((o["red"], o["green"], o["blue"]), -1),
        member=o["member"],
        texture=o["texture"],
        move=torch.stack((o["move_x"], o["move_y"], o["move_turn"], o["move_scale"]), -1),
        camera=torch.stack((s["camera_x"], s["camera_y"], s["camera_turn"], s["camera_scale"]), -1),
        photo=s["photo"],
        ground=s["ground"],
        gain=0.6 + 0.8 * s["gain"],
        ground_gain=0.5 + 0.5 * s["ground_gain"],
        horizon=(0.55 + 0.35 * s["horizon"]) * size,
        slope=(s["slope"] - 0.5) * 0.5,
        view=affine.compose(affine.join(shown, at), normalised),
    )
