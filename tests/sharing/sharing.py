"""Sharing.

The tests. This checkout. A method of another package whose ranks can be slowed and broken.

Idea. A few parameters follow the mean of the batches, by steps that ranks share. One rank can be made to fail.

Equation. $$(w - x)^2$$

Where. $w$: the parameters
$x$: the mean of a batch

Differs. There is no paper.

Expect. The loss falls.
"""

import time

import torch
from torch import nn

from engine.method import Claim, Curves, Method, Params, knob
from engine.ops.across import rank


class SharingParams(Params):
    data: str = knob("garments", "images")
    steps: int = knob(5, "optimiser steps", 1, 1_000_000)
    batch: int = knob(4, "images a step", 1, 1000)
    wait: float = knob(0.0, "seconds a step", 0.0, 1e6, unit="s", fold=True)
    fail_at: int = knob(0, "the step that raises, on rank 1", 0, 1_000_000, fold=True)


class Sharing(nn.Module):
    def __init__(self, params, facts):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(facts.channels))


def train(model, params, bench):
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for batch in bench.batches(bench.data(params.data, "train"), params.batch, params.steps, keep=optimizer):
        time.sleep(params.wait)
        if rank() == 1 and bench.done == params.fail_at:
            raise RuntimeError("this step was told to fail")
        loss = ((model.weight - batch.images.mean((0, 2, 3))) ** 2).sum()
        bench.step(optimizer, loss)
        yield {"loss": loss.detach(), "first": 1.0}


METHOD = Method(
    params=SharingParams, build=Sharing, train=train, exhibits=(Curves(("loss",), "It falls."),), lenses=(),
    claim=Claim("The loss falls.", "loss", {"shared": {}}, "first", higher=False),
)  # fmt: skip
