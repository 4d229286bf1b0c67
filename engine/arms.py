"""What would be if: how each arm of a claim places the same test pictures while it trains, as it was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.assets import ROOT
from engine.ops.plane import moving
from engine.record import read_values, write_values

if TYPE_CHECKING:
    from torch import nn

    from engine.bench import Bench
    from engine.method import Method
    from engine.params import Params

PINNED = 240
"""Test pictures that are followed."""


@dataclass(frozen=True)
class Arms:
    """places: arm -> (T, N, 2), not scaled: unit features that are all alike lie in one point. steps: arm -> T;
    thumbnails: (N, C, H, W) uint8; labels: (N,)."""

    places: Mapping[str, np.ndarray]
    steps: Mapping[str, list[int]]
    thumbnails: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]


class Trace:
    """Held while an arm trains; `look` at each evaluation."""

    def __init__(self, method: Method[Any, Any], model: nn.Module, params: Params, bench: Bench):
        from engine.data.subset import spread

        self._method, self._model, self._bench = method, model, bench
        self._data = spread(bench.data(params.data, "test", getattr(params, "size", None)), PINNED)  # type: ignore[attr-defined]
        self._features: list[np.ndarray] = []
        self._steps: list[int] = []

    def look(self) -> None:
        """Keep where the model places the pictures now; nothing of it is disturbed."""
        import torch
        import torch.nn.functional as F

        from engine.probe import narrow, undisturbed

        if self._method.embed is None:
            return
        with undisturbed(self._model):
            found = [self._method.embed(self._model, batch.images) for batch in self._bench.chunks(self._data)]
        self._features.append(narrow(F.normalize(torch.cat(found).float().flatten(1), dim=1)).cpu().numpy())
        self._steps.append(self._bench.done)

    def told(self) -> dict[str, np.ndarray]:
        """ "places" (T, N, 2) and "steps" (T,), beside "thumbnails" and "labels" of the pictures."""
        import torch

        from engine.probe import thumbnails

        whole = self._data.batch(torch.arange(len(self._data)))
        labels = whole.labels if whole.labels is not None else torch.full((len(whole),), -1)
        return {
            "places": moving(self._features, scaled=False)[0].astype(np.float32), "steps": np.array(self._steps),
            "thumbnails": thumbnails(whole.images).numpy(), "labels": labels.cpu().numpy(),
        }  # fmt: skip


def path(id: str, root: Path = ROOT) -> Path:
    """Where the arms of a method lie."""
    return root / "methods" / id / "arms.safetensors"


def write(id: str, told: Mapping[str, Mapping[str, np.ndarray]], classes: tuple[str, ...], root: Path = ROOT) -> None:
    """Store what `Trace.told` of each arm."""
    first = next(iter(told.values()))
    values: dict[str, Any] = {"arms": list(told), "classes": classes}
    values |= {name: first[name] for name in ("thumbnails", "labels")}
    for arm, one in told.items():
        values |= {f"places of {arm}": one["places"], f"steps of {arm}": one["steps"]}
    path(id, root).parent.mkdir(parents=True, exist_ok=True)
    write_values(path(id, root), values)


def read(id: str, root: Path = ROOT) -> Arms | None:
    """The stored arms of a method; None where there are none."""
    if not path(id, root).exists():
        return None
    values = read_values(path(id, root))[0]
    return Arms(
        {arm: values[f"places of {arm}"] for arm in values["arms"]},
        {arm: values[f"steps of {arm}"].tolist() for arm in values["arms"]},
        values["thumbnails"], values["labels"], tuple(values["classes"]),
    )  # fmt: skip
