"""Which pictures a label would teach most about: scores of acquisition, higher is asked first.

What a network says in T passes with dropout on, or T networks of an ensemble, is p (N, T, classes).
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from engine.metrics.uncertainty import mutual_information, predictive_entropy

Rule = Literal["random", "entropy", "margin", "BALD"]


def acquisition(probabilities: Tensor, rule: Rule, generator: torch.Generator) -> Tensor:
    """The score (N,) of each picture; `generator` is that of the rule random, on any device."""
    if rule == "entropy":
        return predictive_entropy(probabilities)
    if rule == "margin":
        return margin(probabilities)
    if rule == "BALD":
        return mutual_information(probabilities)
    if rule != "random":
        raise ValueError(f"rule: {rule!r} is not one of {', '.join(get_args(Rule))}")
    return torch.rand(len(probabilities), generator=generator, device=generator.device).to(probabilities.device)


def margin(probabilities: Tensor) -> Tensor:
    """-(p_1 - p_2) of the mean over passes, in [-1, 0]: 0 where the two likeliest classes are level (Scheffer 2001)."""
    first, second = probabilities.mean(dim=1).topk(2, dim=1).values.unbind(dim=1)
    return second - first


def highest(scores: Tensor, count: int) -> Tensor:
    """Positions (count,) of the highest scores (N,), the highest first; among equals the earlier comes first."""
    if not 1 <= count <= len(scores):
        raise ValueError(f"count: expected 1 to {len(scores)}, the pictures that are left to ask, got {count}")
    if scores.isnan().any():
        raise ValueError("scores: some are not numbers; the network's training has diverged, lower its learning rate")
    return scores.argsort(descending=True, stable=True)[:count]
