"""Composited scenes: objects on photographs with everything known about them, endless, deterministic, embedded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.data.base import Batch, Facts, join
from engine.data.scenes import affine, annotate, annotators, motion
from engine.data.scenes.banks import BankName, load
from engine.data.scenes.parameters import PRESETS, SPLITS, Layout, Preset, layout, stream, uniforms
from engine.data.scenes.photos import photographs, textures
from engine.data.scenes.render import Render, Stage, render

__all__ = ["COUNTS", "PRESETS", "SPLITS", "Pair", "Preset", "Scenes"]

COUNTS = {"train": 1600, "val": 200, "test": 400}

NOISE, ANNOTATORS = 1, 2
"""What a scene's further generators are for."""


@dataclass(frozen=True)
class Pair:
    """Two frames of B scenes. first.flow (B, 2, H, W) leads to the second frame, backward (B, 2, H, W) from its pixels
    to the first. occluded (B, H, W) bool: pixels of the first frame that the second does not show."""

    first: Batch
    second: Batch
    backward: Tensor
    occluded: Tensor


class Scenes:
    """A split of generated scenes. Scene i depends on (preset, bank, seed, split, i) alone, never on its batch.

    preset: a name of PRESETS, or a Preset of your own (dataclasses.replace). split: "test" has photographs of its own,
    "val" shares those of "train". bank: what the objects are. count: how many scenes, by default 1600, 200, 400.
    device: where pixels are computed and returned; what is drawn by lot is drawn on the CPU.
    """

    def __init__(
        self, preset: str | Preset = "scene64", split: str = "train", bank: BankName = "emoji",
        count: int | None = None, seed: int = 0, device: torch.device | str = "cpu",
    ):  # fmt: skip
        if isinstance(preset, str) and preset not in PRESETS:
            raise ValueError(f"preset: there is no {preset!r}; use one of {', '.join(PRESETS)}, or a Preset")
        if split not in SPLITS:
            raise ValueError(f"split: there is no {split!r}; use one of {', '.join(SPLITS)}")
        if count is not None and count < 0:
            raise ValueError(f"count: got {count}; use 0 or more")
        self.preset = PRESETS[preset] if isinstance(preset, str) else preset
        self.split, self.seed, self.device = split, seed, torch.device(device)
        self._count = COUNTS[split] if count is None else count
        size, texels, test = self.preset.size, self.preset.texels, split == "test"
        photos = photographs(min(3 * size // 2, 512), test)
        self._stage = Stage(
            self.preset,
            load(bank, texels, test).limited(self.preset.classes).to(self.device),
            photos.to(self.device),
            textures(photos, texels).to(self.device),
        )
        self._chunk = max(1, min(16, 8 * 96**2 // size**2))

    @property
    def facts(self) -> Facts:
        return Facts(channels=3, size=self.preset.size, classes=self._stage.bank.classes)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the labels in `semantic`: background, things, and ground where the preset has it."""
        return ("background", *self.facts.classes, *["ground"] * self.preset.ground)

    def __len__(self) -> int:
        return self._count

    def batch(self, index: Tensor) -> Batch:
        """Images and boxes, masks, depth of the scenes `index` (B,); no flow, which `pair` gives."""
        return join([self._annotated(self.render(rows), rows) for rows in index.split(self._chunk)])

    def pair(self, index: Tensor) -> Pair:
        """The scenes `index` (B,), as `batch` gives them, and a moment later."""
        parts = [self._pair(rows) for rows in index.split(self._chunk)]
        return Pair(
            first=join([part.first for part in parts]),
            second=join([part.second for part in parts]),
            backward=torch.cat([part.backward for part in parts]),
            occluded=torch.cat([part.occluded for part in parts]),
        )

    def annotators(self, batch: Batch, habits: annotators.Habits | None = None) -> Tensor:
        """What the five simulated annotators draw of a batch of this dataset: (B, 5, H, W) int64, in the order of
        `annotators.NAMES`. habits: by default those that suit the image's size."""
        if batch.semantic is None:
            raise ValueError("batch: it has no semantic labels; use a batch of this dataset")
        habits = habits or (annotators.SMALL if self.preset.size <= 48 else annotators.Habits())
        draws = torch.empty(len(batch), habits.fractures, 2)
        for row, position in enumerate(self._positions(batch.index)):
            torch.rand(habits.fractures, 2, generator=self._stream(position, ANNOTATORS), out=draws[row])
        return annotators.annotators(batch.semantic, draws, self.preset.classes, habits)

    def render(self, index: Tensor) -> Render:
        """The scenes `index` (B,) with all their layers: what `annotate` reads normals, edges or unclipped boxes from.
        Memory grows with B; `batch` goes in small steps."""
        positions = self._positions(index)
        return render(self._stage, self._layout(positions), self._noise(positions, 0))

    def _pair(self, index: Tensor) -> Pair:
        positions = self._positions(index)
        drawn = self._layout(positions)
        moves = motion.step(self.preset, drawn, drawn.pose)
        now = render(self._stage, drawn, self._noise(positions, 0))
        then = render(
            self._stage, drawn, self._noise(positions, 1),
            affine.compose(moves.objects, drawn.pose), moves.camera, motion.GROWTH,
        )  # fmt: skip
        forward = motion.flow(moves, now.instances)
        return Pair(
            first=replace(self._annotated(now, index), flow=forward),
            second=self._annotated(then, index),
            backward=motion.flow(motion.back(moves), then.instances),
            occluded=motion.occluded(forward, now.instances, then.instances),
        )

    def _annotated(self, scenes: Render, index: Tensor) -> Batch:
        layers, found = scenes.layers, annotate.objects(scenes)
        whole, kind = annotate.amodal(scenes), scenes.layout.kind.to(self.device)
        valid = found.valid.cpu()
        kept = valid[layers.scene, layers.rank]
        per_scene = (layers.scene[kept] == torch.arange(len(index))[:, None]).sum(1).tolist()
        return Batch(
            images=(scenes.images * 255).round_().to(torch.uint8),
            index=index.to(self.device),
            boxes=found.boxes[found.valid].split(per_scene),
            box_labels=kind[found.valid].split(per_scene),
            box_ignore=found.ignore[found.valid].split(per_scene),
            semantic=annotate.semantic(scenes, self.preset.classes),
            instances=scenes.instances,
            amodal=whole[kept.to(self.device)].split(per_scene),
            depth=annotate.depth(scenes),
        )

    def _layout(self, positions: Sequence[int]) -> Layout:
        return layout(self.preset, uniforms(self.preset, self.seed, self.split, positions))

    def _noise(self, positions: Sequence[int], frame: int) -> Tensor:
        size = self.preset.size
        noise = torch.zeros(len(positions), 3, size, size)
        if self.preset.noise:
            for row, position in enumerate(positions):
                generator = self._stream(position, NOISE, *[frame] * (frame > 0))
                noise[row] = torch.randn(3, size, size, generator=generator)
        return noise.mul_(self.preset.noise)

    def _stream(self, position: int, *purpose: int) -> torch.Generator:
        return stream(self.seed, SPLITS.index(self.split), position, *purpose)

    def _positions(self, index: Tensor) -> list[int]:
        if index.dtype != torch.int64 or index.ndim != 1:
            raise TypeError(f"index: got {index.dtype} {tuple(index.shape)}; use int64 positions (B,)")
        positions = index.tolist()
        if positions and not 0 <= min(positions) <= max(positions) < self._count:
            raise ValueError(f"index: got {min(positions)} to {max(positions)}; use 0 to {self._count - 1}")
        return positions
