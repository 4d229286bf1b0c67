r"""t-SNE, exact: all pairs are compared, so for a few thousand points.

van der Maaten, Hinton. JMLR 2008.

Similarities in the features are p_ij = (p_{j|i} + p_{i|j}) / 2N, with p_{j|i} a Gaussian about i whose width gives the
wished perplexity (eq. 1, section 3.1); in the plane q_ij goes with 1 / (1 + |y_i - y_j|^2) (eq. 4). The divergence
KL(P || Q) is descended by its gradient (eq. 5) with momentum, gains and early exaggeration (section 3.4).

Differs: the first layout is that of PCA (Kobak & Berens 2019), the learning rate N / 48, or 50 if that is larger, and
the exaggeration 12: the defaults of scikit-learn, against which this is held.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from engine.maps.start import checked, mappable, principal_places, seeded
from engine.ops.neighbours import Metric, squared_distances
from engine.params import Params, knob

MOST = 5000
"""Points: their pairs take 100 MB, and each step goes over them a few times."""
EXAGGERATION, EARLY = 12.0, 0.25
"""Factor on p in the first part of the steps, and how large that part is."""
START = 1e-4
"""Standard deviation of the first layout along its first axis."""
LEAST_GAIN = 0.01
ROUNDS = 50
TINY = torch.finfo(torch.float32).tiny


class TsneParams(Params):
    perplexity: float = knob(30.0, "neighbours that count, softly", 2.0, 200.0)
    metric: Metric = knob("euclidean", "cosine: only the direction of features counts")
    steps: int = knob(1000, "steps of descent, the first quarter exaggerated", 4, 5000, tiny=8, unit="steps")
    seed: int = knob(0, "another first layout, where features vary along one axis only", 0, 2**31 - 1, fold=True)


def fit(
    features: Tensor, params: TsneParams, generator: torch.Generator | None = None, earlier: Tensor | None = None
) -> Iterator[Tensor]:
    """The first layout, then one after each step: see `engine.maps`. With `earlier` nothing is exaggerated."""
    rows = mappable(features, params.metric)
    if len(rows) > MOST:
        raise ValueError(f"features: t-SNE compares all pairs, of {MOST} points at most, got {len(rows)}; choose umap")
    if params.perplexity >= len(rows):
        raise ValueError(f"perplexity: expected less than {len(rows)}, the number of points, got {params.perplexity}")
    centred = rows - rows.mean(dim=0)
    p = similarities(squared_distances(centred, centred), params.perplexity)
    if earlier is not None:
        return descend(checked(earlier, rows), p, params.steps, 0)
    first = small(principal_places(rows), seeded(rows, generator, params.seed))
    return descend(first, p, params.steps, int(EARLY * params.steps))


def small(places: Tensor, generator: torch.Generator) -> Tensor:
    """The first layout (N, 2): shrunk to START, and shaken by a tenth of that, so that no two places are the same."""
    shrunk = places * (START / places[:, 0].std().clamp(min=TINY))
    return shrunk + 0.1 * START * torch.randn(places.shape, generator=generator, device=places.device)


def similarities(squared: Tensor, perplexity: float) -> Tensor:
    """p (N, N), symmetric, summing to 1 and 0 on the diagonal, of squared distances (N, N) (eq. 1).

    The precision of each point's Gaussian is bisected until the entropy is log(perplexity), all points at once.
    """
    off = squared.clone().fill_diagonal_(torch.inf)
    off = off - off.amin(dim=1, keepdim=True)  # the nearest at 0, the others at 1 in the mean: nothing runs over
    mean = off.where(off.isfinite(), 0.0).sum(dim=1, keepdim=True) / (len(off) - 1)
    off = off / mean.clamp(min=TINY)
    low, high = off.new_zeros(len(off), 1), off.new_full((len(off), 1), torch.inf)
    precision = torch.ones_like(low)
    for _ in range(ROUNDS):
        p = (-precision * off).softmax(dim=1)
        wide = torch.special.entr(p).sum(dim=1, keepdim=True) > math.log(perplexity)
        low, high = torch.where(wide, precision, low), torch.where(wide, high, precision)
        precision = torch.where(high.isinf(), 2 * precision, (low + high) / 2)
    return (p + p.T) / (2 * len(p))


def closeness(places: Tensor) -> Tensor:
    """1 / (1 + |y_i - y_j|^2), (N, N), 0 on the diagonal: q but for its sum (eq. 4)."""
    return squared_distances(places, places).add_(1).reciprocal_().fill_diagonal_(0)


def divergence(p: Tensor, places: Tensor) -> Tensor:
    """KL(P || Q) in nats (eq. 2 with the symmetric p), 0-d."""
    near = closeness(places)
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, (near / near.sum()).clamp(min=TINY))).double().sum()


def gradient(p: Tensor, places: Tensor) -> Tensor:
    """4 sum_j (p_ij - q_ij) (y_i - y_j) / (1 + |y_i - y_j|^2), (N, 2) (eq. 5)."""
    near = closeness(places)
    force = (p - near / near.sum()).mul_(near)
    return 4 * (force.sum(dim=1, keepdim=True) * places - force @ places)


def descend(places: Tensor, p: Tensor, steps: int, early: int) -> Iterator[Tensor]:
    """`places`, and as they are after each step; p is exaggerated in the first `early` ones."""
    yield places
    rate = max(len(p) / EXAGGERATION / 4, 50.0)
    speed, gains = torch.zeros_like(places), torch.ones_like(places)
    for step in range(steps):
        exaggerated = step < early
        slope = gradient(p * EXAGGERATION if exaggerated else p, places)
        gains = torch.where(slope * speed < 0, gains + 0.2, gains * 0.8).clamp(min=LEAST_GAIN)
        speed = (0.5 if exaggerated else 0.8) * speed - rate * gains * slope
        places = places + speed
        yield places
