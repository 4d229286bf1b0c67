"""How a quantity moves over a training: pure functions of the step."""

from __future__ import annotations

import math


def cosine(step: int, total: int, warmup: int = 0, start: float = 0.0, final: float = 0.0) -> float:
    """Factor of the peak value at `step` of `total`: linear from `start` to 1 over `warmup` steps, then half a cosine
    to `final`, where it stays.

    As a learning rate: `LambdaLR(optimizer, lambda step: cosine(step, total, warmup))`. As a rising momentum of an
    averaged network: `1 - (1 - momentum) * cosine(step, total)`.
    """
    if total <= 0:
        raise ValueError(f"total: expected one step or more, got {total}")
    if step < 0:
        raise ValueError(f"step: expected 0 or more, got {step}")
    if not 0 <= warmup <= total:
        raise ValueError(f"warmup: expected 0 to total={total} steps, got {warmup}")
    if step < warmup:
        return start + (1 - start) * step / warmup
    if step >= total:
        return final
    return final + (1 - final) * (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2
