"""A lens for networks that name a picture by its similarity to labelled ones: who votes, and for what."""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.bench import Bench
from engine.data.base import Facts
from engine.lenses.picked import last_picture, picked
from engine.method import Bars, Lens, Params, Pictures, Report, Table, knob
from engine.metrics.neighbours import NEAREST


class Supported(Protocol):
    """A model that keeps what it makes of labelled pictures (S, D), their labels and places in its training set."""

    facts: Facts
    params: Any
    support: Tensor
    support_labels: Tensor
    support_places: Tensor

    def project(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] -> (B, D)."""


class SupportsParams(Params):
    temperature: float = knob(
        0.1, "softmax temperature of similarity: small asks only the nearest", 0.01, 1.0, log=True
    )
    picture: int = knob(1, "picture whose classes are written out", 1, 64)


@torch.no_grad()
def supports(model: Supported, params: SupportsParams, images: Tensor, bench: Bench) -> Report:
    """The labelled pictures that count most for each picture, and what they make of it."""
    one = picked(params.picture, images)
    z, kept, classes = model.project(images).float(), model.support.float(), list(model.facts.classes)
    weight = ((F.normalize(z, dim=1) @ F.normalize(kept, dim=1).T) / params.temperature).softmax(dim=1)
    told = weight @ F.one_hot(model.support_labels, len(classes)).float()
    share, index = weight.topk(min(len(NEAREST), weight.shape[1]), dim=1)
    labels, data = model.support_labels[index].tolist(), bench.data(model.params.data, "train", model.facts.size)
    shown = [data.batch(model.support_places[column].cpu()).to(images.device).images for column in index.T]
    return {
        "query": images, **dict(zip(NEAREST, shown, strict=False)),
        "picture": torch.arange(1, len(images) + 1),
        "taken_for": [classes[c] for c in told.argmax(dim=1).tolist()], "sure": told.amax(dim=1),
        "by": [", ".join(f"{classes[label]} {part:.0%}" for label, part in zip(row, parts, strict=True))
               for row, parts in zip(labels, share.tolist(), strict=True)],
        "probability": told[one], "class": classes,
    }  # fmt: skip


SUPPORTS = Lens(
    "Supports", SupportsParams, supports,
    (
        Pictures(("query", *NEAREST), "Your pictures, and the labelled pictures that count most for each."),
        Table(("picture", "taken_for", "sure", "by"), "What their labels make of it, and what each counts."),
        Bars(("probability", "class"), "What the picture that was chosen is taken for."),
    ),
    "Which labelled pictures give yours its label?",
    ends=last_picture,
)  # fmt: skip
