"""Contrast with explicit invariance: whom a view resembles must not depend on which view it is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


def candidates(batch: int, negatives: int, generator: Generator) -> Tensor:
    """Whom each of `batch` pictures is compared with, (batch, 1 + negatives) on the generator's device: itself first,
    then so many of the others, drawn without repetition."""
    if not 1 <= negatives < batch:
        raise ValueError(f"negatives: of {batch} pictures each has 1 to {batch - 1} others, got {negatives}")
    order = torch.rand(batch, batch, generator=generator, device=generator.device).fill_diagonal_(2.0)
    return order.argsort(dim=1, descending=True)[:, : 1 + negatives]


def log_likeness(online: Tensor, target: Tensor, columns: Tensor, temperature: float) -> Tensor:
    """log p (B, 1 + N) of each view being each of its candidates (Tomasev et al. 2022, eq. 1); itself is column 0.

    online, target: (B, D) unit rows of two views, row by row. columns: (B, 1 + N) rows of target, see `candidates`.
    """
    if online.ndim != 2 or online.shape != target.shape:
        shapes = f"{tuple(online.shape)} and {tuple(target.shape)}"
        raise ValueError(f"online and target: expected the same shape (B, D), got {shapes}")
    if temperature <= 0:
        raise ValueError(f"temperature: expected more than 0, got {temperature}")
    if columns.ndim != 2 or len(columns) != len(online):
        raise ValueError(f"columns: expected ({len(online)}, 1 + N), got shape {tuple(columns.shape)}")
    return (online @ target.T / temperature).gather(1, columns).log_softmax(dim=1)


def divergence(there: Tensor, back: Tensor) -> Tensor:
    """KL (B,) of log probabilities (B, N) `there` from `back`, in nats, at least 0; no gradient flows into `back`."""
    return (there.exp() * (there - back.detach())).sum(dim=1)


def relic(
    online: Sequence[Tensor], target: Sequence[Tensor], columns: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """Contrast and invariance, each its mean over all pairs of a crop and a large crop, itself among them, in nats:
    -log p(k; l) and KL(p(k; l) || sg p(l; k)) (Tomasev et al. 2022, eq. 3 and alg. 1).

    online: (B, D) unit rows of L large, then S small crops; target: of the L large ones. Both directions have the same
    candidates. A small crop never passes the target network: where p(l; k) needs it, its online row stands in.
    """
    if not target or len(online) < len(target):
        raise ValueError(
            f"expected targets of 1 large crop or more and online rows of all, got {len(target)} and {len(online)}"
        )
    large = len(target)
    there = [[log_likeness(one, other, columns, temperature) for other in target] for one in online]
    contrasts, divergences = [], []
    for k, row in enumerate(there):
        for place, rows in enumerate(row):
            back = there[place][k] if k < large else log_likeness(
                online[place].detach(), online[k].detach(), columns, temperature
            )  # fmt: skip
            contrasts.append(-rows[:, 0].mean())
            divergences.append(divergence(rows, back).mean())
    return torch.stack(contrasts).mean(), torch.stack(divergences).mean()
