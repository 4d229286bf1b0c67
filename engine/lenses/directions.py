"""A lens on invariance: the two directions of likeness between views, and what each term of the loss does to them."""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from engine.bench import Bench
from engine.losses.invariance import divergence
from engine.method import Curves, Lens, Matrix, Params, Pictures, Report, Table, knob

RATE = 0.5
"""Length of a step of the descent, in units of the rows, for one picture."""


class TwoNetworks(Protocol):
    """A network and one that follows it; both give unit rows."""

    params: Any

    def online(self, images: Tensor) -> Tensor: ...

    def target(self, images: Tensor) -> Tensor: ...

    def view(self, images: Tensor, generator: Generator) -> Tensor: ...


class DirectionsParams(Params):
    alpha: float = knob(0.0, "weight of contrast in the descent", 0.0, 5.0)
    beta: float = knob(1.0, "weight of invariance in the descent", 0.0, 5.0)
    temperature: float = knob(0.2, "softmax temperature", 0.01, 1.0, log=True)
    steps: int = knob(30, "steps of the descent", 0, 200, tiny=3)
    seed: int = knob(0, "other views", 0, 9999)


def log_rows(online: Tensor, target: Tensor, temperature: float) -> Tensor:
    """log p (N, N): whom each view resembles among all N pictures."""
    return (online @ target.T / temperature).log_softmax(dim=1)


def descent(
    online: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor], params: DirectionsParams
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """The rows (N, D) of two views moved downhill on the loss as if they were free, and (steps + 1, 2) contrast and
    invariance on the way. Targets stay where they are."""
    rows, told = [each.clone() for each in online], []
    for step in range(params.steps + 1):
        with torch.enable_grad():
            free = [row.requires_grad_() for row in rows]
            there = log_rows(free[0], target[1], params.temperature)
            back = log_rows(free[1], target[0], params.temperature)
            contrast = -(there.diagonal().mean() + back.diagonal().mean()) / 2
            invariance = (divergence(there, back).mean() + divergence(back, there).mean()) / 2
            loss = params.alpha * contrast + params.beta * invariance
            slopes = torch.autograd.grad(loss, free)
        told.append(torch.stack([contrast, invariance]).detach())
        if step < params.steps:
            moved = [
                row.detach() - RATE * len(row) * params.temperature * slope
                for row, slope in zip(free, slopes, strict=True)
            ]
            rows = [F.normalize(row, dim=1) for row in moved]
    return (rows[0].detach(), rows[1].detach()), torch.stack(told)


@torch.no_grad()
def directions(model: TwoNetworks, params: DirectionsParams, images: Tensor, bench: Bench) -> Report:
    """Whom each of two views resembles when compared with the other, and both after a descent on the loss."""
    if len(images) < 2:
        raise ValueError(f"images: a picture is compared with others; bring 2 or more, got {len(images)}")
    generator = torch.Generator(bench.device).manual_seed(params.seed)
    views = [model.view(images, generator) for _ in range(2)]
    online, target = ((net(views[0]), net(views[1])) for net in (model.online, model.target))
    after, told = descent(online, target, params)
    report: Report = {"one": views[0], "two": views[1], "number": torch.arange(1, len(images) + 1)}
    for name, rows in (("", online), (", after", after)):
        there = log_rows(rows[0], target[1], params.temperature)
        back = log_rows(rows[1], target[0], params.temperature)
        report |= {f"there{name}": there.exp(), f"back{name}": back.exp(), f"apart{name}": divergence(there, back)}
    steps = torch.arange(params.steps + 1.0)
    numbers = [str(number) for number in report["number"].tolist()]
    return report | {
        "contrast": torch.stack([steps, told[:, 0].cpu()], dim=1),
        "invariance": torch.stack([steps, told[:, 1].cpu()], dim=1), "rows": numbers, "columns": numbers,
    }  # fmt: skip


DIRECTIONS = Lens(
    "Two directions", DirectionsParams, directions,
    (
        Pictures(("one", "two"), "Two random views of each picture."),
        Matrix(("there", "back"), "Whom each picture (rows) resembles among your pictures: view 1 compared with view "
               "2, and view 2 with view 1."),
        Matrix(("there, after", "back, after"), "The same after the descent: contrast (α) makes the diagonal win, "
               "invariance (β) makes the two tables alike."),
        Curves(("contrast", "invariance"), "Both terms of the loss on the way down, in nats.", over="step of descent"),
        Table(("number", "apart", "apart, after"), "How far apart the two rows of each picture are, in nats of KL."),
    ),
    "What would each term alone do? Move the views downhill by α and β, and watch the two directions converge.",
)  # fmt: skip
