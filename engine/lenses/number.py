"""The toy of deep ensembles (Lakshminarayanan et al. 2017, fig. 1): numbers in place of classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from engine.bench import Bench
from engine.losses.gaussian import gaussian_nll, mixture
from engine.method import Curves, Lens, Params, Report, knob
from engine.nets.stacked import Stacked
from engine.ops.schedule import cosine


class NumberParams(Params):
    members: int = knob(5, "networks", 1, 20, tiny=2)
    points: int = knob(20, "points to learn from", 4, 500)
    steps: int = knob(1000, "optimiser steps", 1, 5000, tiny=3)
    seed: int = knob(0, "other points and other networks", 0, 999)


REACH, INNER, NOISE = 6.0, 4.0, 3.0
"""The curve is asked up to here, and learned up to here, on both sides of 0; the deviation of its points."""


def band(name: str) -> tuple[str, ...]:
    return "truth", f"{name}: mean", f"{name}: mean less 3 deviations", f"{name}: mean and 3 deviations"


def look_number(model: nn.Module, p: NumberParams, images: None, bench: Bench) -> Report:
    """The paper's toy: networks that tell a number and its variance learn y = x^3 with noise."""
    with torch.random.fork_rng([]), torch.enable_grad():
        torch.manual_seed(p.seed)
        x = (torch.rand(p.points, 1) * 2 - 1) * INNER
        y = x**3 + NOISE * torch.randn_like(x)
        nets = Stacked([nn.Sequential(nn.Linear(1, 100), nn.ReLU(), nn.Linear(100, 2)) for _ in range(p.members)])
        optimizer = torch.optim.Adam(nets.parameters(), 0.01)
        schedule = LambdaLR(optimizer, lambda step: cosine(step, p.steps))

        def told(x: Tensor) -> tuple[Tensor, Tensor]:
            mean, spread = nets(x).unbind(dim=-1)  # both (M, N), in units of the noise
            return mean * NOISE, (F.softplus(spread) + 1e-6) * NOISE**2

        for _ in range(p.steps):
            optimizer.zero_grad()
            gaussian_nll(*told(x), y[:, 0]).mean(dim=1).sum().backward()
            optimizer.step()
            schedule.step()
    across = torch.linspace(-REACH, REACH, 121)
    with torch.no_grad():
        means, variances = told(across[:, None])
    whole = mixture(means, variances)
    lines = {"truth": across**3}
    for name, (mean, variance) in (("all", whole), ("one", (means[0], variances[0]))):
        low, high = mean - 3 * variance.sqrt(), mean + 3 * variance.sqrt()
        lines |= dict(zip((*band(name)[1:], f"{name}: deviation"), (mean, low, high, variance.sqrt()), strict=True))
    lines |= {"deviation among the means": means.std(dim=0, correction=0), "the noise": torch.full_like(across, NOISE)}
    return {name: torch.stack([across, line], dim=1) for name, line in lines.items()}


A_NUMBER = Lens(
    "A number",
    NumberParams,
    look_number,
    (
        Curves(
            band("all"),
            "All together: outside -4 to 4, where nothing was learned, the networks part, and the band opens.",
            over="x",
        ),
        Curves(band("one"), "One network alone: outside it may be as sure as ever, and wrong.", over="x"),
        Curves(
            ("deviation among the means", "all: deviation", "one: deviation", "the noise"),
            "How far the networks' means lie apart, how unsure all are together, and one alone. So few "
            "points do not fix the noise: networks take part of it for the curve.",
            over="x",
        ),
    ),
    "The paper's toy, trained while you wait: numbers in place of classes, and doubt where no point was.",
    takes="nothing",
)
