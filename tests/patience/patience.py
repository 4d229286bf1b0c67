"""Patience.

The tests. This checkout. A method of another package, to run and to kill.

Idea. A few parameters follow a target that the data's mean sets. Each step takes as long as one likes, and any step can
be made to go wrong.

Equation. $$(w - x)^2$$

Where. $w$: the parameters
$x$: the mean of a batch

Differs. There is no paper.

Expect. The loss falls.
"""

import time

import torch
from torch import nn

from engine.method import Claim, Curves, Lens, Method, Params, Pictures, knob


class PatienceParams(Params):
    data: str = knob("garments", "images")
    steps: int = knob(5, "optimiser steps", 1, 1_000_000, tiny=3, paper=1000)
    batch: int = knob(4, "images a step", 1, 1000)
    lr: float = knob(0.1, "step size", 0.0, 10.0)
    wait: float = knob(0.0, "seconds a step", 0.0, 1e6, unit="s", fold=True)
    fail_at: int = knob(0, "the step that raises", 0, 1_000_000, fold=True)
    hang_at: int = knob(0, "the step that answers nobody", 0, 1_000_000, fold=True)
    full_at: int = knob(0, "the step for which a GPU has no memory", 0, 1_000_000, fold=True)
    hoard_at: int = knob(0, "the step that takes memory", 0, 1_000_000, fold=True)
    hoard: int = knob(16, "how much it takes for each image", 1, 10_000, unit="MB", fold=True)


class Patience(nn.Module):
    def __init__(self, params, facts):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(facts.channels))


def train(model, params, bench):
    data = bench.data(params.data, "train")
    for batch in bench.batches(data, params.batch, params.steps):
        time.sleep(params.wait)
        if bench.done == params.fail_at:
            raise RuntimeError("this step was told to fail")
        if bench.done == params.hang_at:
            hang()
        if bench.done == params.full_at:
            raise torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which "
                "1.12 GiB is free. Including non-PyTorch memory, this process has 77.98 GiB memory in use."
            )
        if bench.done == params.hoard_at:
            torch.ones(params.batch * params.hoard << 18)  # of four bytes each
        loss = ((model.weight - batch.images.mean((0, 2, 3))) ** 2).sum()
        (slope,) = torch.autograd.grad(loss, model.weight)
        model.weight.data -= params.lr * slope
        report = {"loss": loss.detach(), "first": 1.0}
        if bench.due:
            report["views"] = batch.images
        yield report


def hang():
    """What a driver that is stuck looks like from outside: no signal but SIGKILL is heard."""
    import signal

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    time.sleep(1000)


class BlendParams(Params):
    amount: float = knob(0.5, "how much of the weight is seen", 0.0, 1.0)


def blend(model, params, images, bench):
    return {"before": images, "after": images * (1 - params.amount) + params.amount * model.weight[:, None, None]}


METHOD = Method(
    params=PatienceParams, build=Patience, train=train,
    exhibits=(Curves(("loss",), "It falls."), Pictures(("views",), "What was seen.")),
    lenses=(Lens("Blend in", BlendParams, blend, (Pictures(("before", "after"), "Blended."),), "Blended in."),),
    claim=Claim("The loss falls.", "loss", {"patience": {}, "no steps": {"lr": 0.0}}, "first", higher=False),
)  # fmt: skip
