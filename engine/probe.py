"""The embedding probe: where the model places the same test images at each evaluation, without touching its training.

Each evaluation of a method that says how it embeds (`Method.embed`) leaves the features of up to `MOST` pinned images
in the record. All probes of a run together take at most `SHARE` of its time and `GRACE` seconds: what does not fit is
left out, and the record says so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.checkpoint import random_state, set_random_state
from engine.data.base import Dataset, Memory, memory
from engine.data.subset import part
from engine.record import pin_points, write_probe

if TYPE_CHECKING:
    from engine.bench import Bench
    from engine.method import Method
    from engine.params import Params

MOST, CHUNK, ROOM = 2000, 100, 256 << 20
"""Pinned images; how many are embedded at once, if the method's batches are not smaller; bytes that they may take."""
WIDTH, THUMBNAIL = 64, 32
"""Numbers that are kept of each image's features; height and width of its thumbnail, at most."""
SHARE, GRACE = 0.1, 1.0
"""Part of a run's time that its probes may take, and seconds on top of it, for runs that last no longer than those."""


class Probe:
    """Held by the run; `look` after each evaluation. Nothing happens when the method does not say how it embeds."""

    def __init__(
        self, folder: Path | None, method: Method[Any, Any], model: nn.Module, params: Params, bench: Bench
    ):  # fmt: skip
        """folder: the run's; None to store nothing, where only the time is of interest."""
        self._folder, self._embed, self._model, self._params, self._bench = folder, method.embed, model, params, bench
        self._chunk = min(CHUNK, getattr(params, "batch", CHUNK))  # so it needs no more memory than training does
        self._started, self._spent, self._looks = time.monotonic(), 0.0, 0
        self._chunks, self._busy = 0, 0.0
        """Chunks that were embedded so far, and the seconds they took."""
        self._step = -1
        self._pinned: Memory | None = None

    def look(self, step: int) -> None:
        """Store the features of the pinned images, or of the first of them when time does not allow for all."""
        if self._embed is None or step == self._step:
            return
        began, self._step = time.monotonic(), step
        allowed = SHARE * (began - self._started) + GRACE - self._spent
        deadline = began + allowed / 4  # the rest is left to the next ones, so that maps are of nearly one size
        with undisturbed(self._model):
            pinned = self._pin()
            if pinned is None:
                return
            found = list(self._features(pinned, deadline))
        seconds = time.monotonic() - began
        self._spent, self._looks = self._spent + seconds, self._looks + 1
        if self._folder is None:
            return
        note = {"images": sum(map(len, found)), "of": len(pinned), "seconds": round(seconds, 4)}
        features = torch.cat(found) if found else torch.empty(0, 0, dtype=torch.half)
        write_probe(self._folder, step, features.numpy(), note)

    def forecast(self, seconds: float, looks: int) -> float:
        """Seconds that `looks` looks will add to a training of `seconds`, by those that were taken so far."""
        return min(looks * self._spent / self._looks, SHARE * seconds + GRACE) if self._looks else 0.0

    def _features(self, pinned: Memory, deadline: float) -> Iterator[Tensor]:
        """Chunks (B, D <= WIDTH) in float16 on the CPU, until the next would not be ready before `deadline`."""
        assert self._embed is not None
        for batch in self._bench.chunks(pinned, self._chunk):
            began = time.monotonic()
            if self._chunks and began + self._busy / self._chunks > deadline:
                return
            with self._bench.autocast():
                features = self._embed(self._model, batch.images)
            ready = narrow(features.float().flatten(1)).clamp(-6e4, 6e4).half().cpu()
            self._chunks, self._busy = self._chunks + 1, self._busy + time.monotonic() - began
            yield ready

    def _pin(self) -> Memory | None:
        """The pinned images, chosen and stored once; None where the data have no test images."""
        if self._pinned is None:
            size = getattr(self._params, "size", None)
            try:
                data = self._bench.data(self._params.data, "test", size)  # type: ignore[attr-defined]
            except ValueError as error:
                print(f"the model's embedding is not probed: {error}", flush=True)
                self._embed = None
                return None
            self._pinned = memory(spread_first(data)).place(self._bench.device)
            rows = self._pinned.rows
            labels = rows.labels if rows.labels is not None else torch.full((len(rows),), -1)
            small = thumbnails(rows.images).numpy()
            if self._folder:
                pin_points(self._folder, small, labels.cpu().numpy(), data.facts.classes)
        return self._pinned


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Ask the model without a gradient, in eval mode; its modes and torch's random states are afterwards as before."""
    modes, random = [(module, module.training) for module in model.modules()], random_state()
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        set_random_state(random)


def spread_first(data: Dataset) -> Dataset:
    """Up to MOST images at even distances over `data`, in an order in which any first ones are evenly spread, too."""
    count = min(MOST, len(data), max(1, ROOM // (data.facts.channels * data.facts.size**2)))
    return part(data, torch.arange(count)[scattered(count)] * len(data) // count)


def scattered(count: int) -> Tensor:
    """0 .. count-1 in the order of their binary digits read backwards (van der Corput): each next falls into a gap."""
    digits = max(1, (count - 1).bit_length())
    return torch.tensor(sorted(range(count), key=lambda number: int(f"{number:0{digits}b}"[::-1], 2)))


def narrow(features: Tensor) -> Tensor:
    """Features (B, D) as (B, min(D, WIDTH)): wider ones under a random projection that is always the same."""
    width = features.shape[1]
    return features if width <= WIDTH else features @ projection(width).to(features.device)


@cache
def projection(width: int) -> Tensor:
    """(width, WIDTH) normal numbers that keep squared lengths on average."""
    return torch.randn(width, WIDTH, generator=torch.Generator().manual_seed(0)) / WIDTH**0.5


def thumbnails(images: Tensor, side: int = THUMBNAIL) -> Tensor:
    """uint8 (N, C, H, W) on the CPU, at most `side` pixels high and wide."""
    if images.shape[-1] <= side:
        return images.cpu().contiguous()
    chunks = images.split(CHUNK)
    small = [F.interpolate(chunk.float(), size=side, mode="area").round().byte().cpu() for chunk in chunks]
    return torch.cat(small)
